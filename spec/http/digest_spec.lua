local codec = require "moonwire.codec"
local crypto = require "moonwire.crypto"
local digest = require "moonwire.http.digest"
local file = require "moonwire.file"
local folder = require "spec.support.folder"

local EMPTY <const> = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"

describe("http digest", function()
  it("is that of the bytes of a file, and remembered until it changes", function()
    local place <close> = folder.new()
    place:write("x", ("0123456789"):rep(100000))
    local opened <close> = assert(file.open(place.path .. "/x", "update"))
    opened:seek(5)
    assert.are.equal(crypto.digest("sha256", ("0123456789"):rep(100000)), digest.of(opened))
    assert.are.equal(5, opened:position())
    assert(os.execute("touch -d '1 hour ago' " .. place.path .. "/x"))
    assert(digest.of(opened))
    opened:write "changed"
    local text = "01234changed" .. ("0123456789"):rep(100000):sub(13)
    assert.are.equal(crypto.digest("sha256", text), digest.of(opened))
    opened:truncate(0)
    assert.are.equal(EMPTY, digest.field(digest.of(opened)))
  end)

  it("is read from fields with others, and not from what is none", function()
    local bytes = crypto.digest("sha256", "")
    assert.are.equal(bytes, digest.parse(EMPTY))
    assert.are.equal(bytes, digest.parse("sha-512=:AAAA:, " .. EMPTY .. ";a=b"))
    for _, text in ipairs { "", "sha-256", "sha-256=x", "sha-256=:AAAA:", "sha-256=::", "md5=:AAAA:" } do
      assert.is_nil(digest.parse(text))
    end
    assert.is_nil(digest.parse(nil))
    assert.are.equal(EMPTY, digest.field((digest.parse(EMPTY))))
    assert.are.equal(32, #codec.base64_decode(EMPTY:match ":(.*):"))
  end)

  it("is wanted with a weight above 0", function()
    assert.is_true(digest.is_wanted "sha-256=1")
    assert.is_true(digest.is_wanted "sha-512=10, sha-256=5")
    assert.is_false(digest.is_wanted "sha-256=0")
    assert.is_false(digest.is_wanted "sha-512=3")
    assert.is_false(digest.is_wanted(nil))
  end)

  it("refuses what is none", function()
    assert.has_error(function() digest.field "short" end)
    assert.has_error(function() digest.of {} end)
    assert.has_error(function() digest.parse(1) end)
  end)
end)
