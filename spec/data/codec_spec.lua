local codec = require "moonwire.codec"
local process = require "spec.support.process"

local function raised(fn, ...)
  local ok, problem = pcall(fn, ...)
  assert.is_false(ok)
  return problem
end

local EVERY_BYTE <const> = (function()
  local bytes = {}
  for i = 0, 255 do
    bytes[#bytes + 1] = string.char(i)
  end
  return table.concat(bytes)
end)()

local function python(code, input)
  local status, output, errors = process.run { "python3", "-c", "import sys\n" .. code, input = input }
  assert.are.equal("", errors)
  assert.are.equal(0, status)
  return output
end

describe("codec", function()
  it("has the vectors of RFC 4648", function()
    for data, text in pairs {
      [""] = "", f = "Zg==", fo = "Zm8=", foo = "Zm9v", foob = "Zm9vYg==", fooba = "Zm9vYmE=",
      foobar = "Zm9vYmFy",
    } do
      assert.are.equal(text, codec.base64_encode(data))
      assert.are.equal(data, codec.base64_decode(text))
      assert.are.equal((text:gsub("=", "")), codec.base64url_encode(data))
      assert.are.equal(data, codec.base64url_decode(text))
      assert.are.equal(data, codec.base64url_decode((text:gsub("=", ""))))
    end
    assert.are.equal("666f6f626172", codec.hex_encode "foobar")
    assert.are.equal("foobar", codec.hex_decode "666F6f626172")
  end)

  it("gives back every byte", function()
    for size = 0, 256 do
      local data = EVERY_BYTE:sub(1, size)
      for _, name in ipairs { "base64", "base64url", "hex", "url" } do
        assert.are.equal(data, codec[name .. "_decode"](codec[name .. "_encode"](data)))
      end
      assert.are.equal(data,
        codec.quoted_printable_decode(codec.quoted_printable_encode(data, { binary = true })))
    end
  end)

  it("says which byte is wrong", function()
    local cases = {
      { codec.base64_decode, "Zm9*", "base64", 4, "not a character of the alphabet" },
      { codec.base64_decode, "Zg", "base64", 3, "padding is missing" },
      { codec.base64_decode, "Zh==", "base64", 2, "bits behind the end that are not 0" },
      { codec.base64url_decode, "Zg=", "base64url", 4, "padding is missing" },
      { codec.base64url_decode, "a/b", "base64url", 2, "not a character of the alphabet" },
      { codec.hex_decode, "0x", "hex", 2, "not a hexadecimal digit" },
      { codec.hex_decode, "abc", "hex", 4, "an odd number of digits" },
      { codec.url_decode, "a%2", "url", 2, "'%' without two hexadecimal digits behind it" },
      { codec.quoted_printable_decode, "a\xff", "quoted-printable", 2, "a byte that must be written as =XX" },
      { codec.form_decode, "a=1&b=%zz", "form", 7, "'%' without two hexadecimal digits behind it" },
      { codec.form_decode, "a=1&%=2", "form", 5, "'%' without two hexadecimal digits behind it" },
    }
    for _, case in ipairs(cases) do
      local err = ("decode %s at byte %d: %s"):format(case[3], case[4], case[5])
      assert.are.same({ n = 4, nil, err, "invalid", case[4] }, table.pack(case[1](case[2])))
    end
  end)

  it("writes base64 in lines, and reads it", function()
    local text = codec.base64_encode(EVERY_BYTE, { line = 76 })
    assert.are.equal(76, text:find("\r\n", 1, true) - 1)
    assert.matches("\r\n$", text)
    assert.are.equal(codec.base64_encode(EVERY_BYTE), (text:gsub("\r\n", "")))
    assert.are.equal(EVERY_BYTE, codec.base64_decode(text, { spaced = true }))
    assert.is_nil((codec.base64_decode(text)))
    assert.are.equal("", codec.base64_encode("", { line = 76 }))
    assert.are.equal("AAAA\r\n", codec.base64_encode("\0\0\0", { line = 4 }))
  end)

  it("encodes parts of addresses", function()
    assert.are.equal("a%20b%2Fc%3F-._~%C3%A9", codec.url_encode "a b/c?-._~é")
    assert.are.equal("a+b%2B", codec.url_encode("a b+", { plus = true }))
    assert.are.equal("a b+ ", codec.url_decode("a+b%2B%20", { plus = true }))
    assert.are.equal("a+b", codec.url_decode "a+b")
  end)

  it("reads forms: the first value of a name, and all", function()
    local fields, lists = codec.form_decode "q=tea+pot&tag=red&&tag=old%26new&flag&empty=&=x"
    assert.are.same({ q = "tea pot", tag = "red", flag = "", empty = "", [""] = "x" }, fields)
    assert.are.same({ "red", "old&new" }, lists.tag)
    assert.are.same({}, (codec.form_decode ""))
    assert.are.same({ n = 4, nil, "too_large", "too_large", 5 },
      table.pack(codec.form_decode("a&b&c", { max = 2 })))
    assert.are.equal("too_large", select(3, codec.form_decode(("a&"):rep(1001))))
  end)

  it("writes forms in the order of names", function()
    assert.are.equal("a=1&b=x+y&b=2.5&c=true&d%26=%3D",
      codec.form_encode { c = true, b = { "x y", 2.5 }, a = 1, ["d&"] = "=" })
    assert.are.equal("", codec.form_encode {})
  end)

  it("writes quoted-printable as mail wants it", function()
    assert.are.equal("h=C3=A9 =3D\r\nend=20\r\n=09", codec.quoted_printable_encode "hé =\nend \r\n\t")
    assert.are.equal("=0D=0A=0A", codec.quoted_printable_encode("\r\n\n", { binary = true }))
    local long = codec.quoted_printable_encode(("x"):rep(200))
    assert.are.equal(("x"):rep(75) .. "=\r\n" .. ("x"):rep(75) .. "=\r\n" .. ("x"):rep(50), long)
    assert.are.equal(("x"):rep(76), codec.quoted_printable_encode(("x"):rep(76)))
    assert.are.equal("a b\r\nc", codec.quoted_printable_decode "a=20=\r\nb \t\r\nc")
  end)

  it("takes time in proportion to the text, also when it is one long run of blanks", function()
    local blanks = (" "):rep(1024 * 1024)
    assert.are.equal(blanks .. "x", codec.quoted_printable_decode(blanks .. "x"))
    assert.are.equal("", codec.quoted_printable_decode(blanks))
  end)

  it("agrees with Python", function()
    local data = EVERY_BYTE:rep(3)
    assert.are.equal(codec.base64_encode(data, { line = 76 }):gsub("\r", "") .. "",
      python("import base64\nsys.stdout.buffer.write(base64.encodebytes(sys.stdin.buffer.read()))", data))
    local quote = "from urllib.parse import quote\nsys.stdout.write(quote(sys.stdin.buffer.read(), safe=''))"
    assert.are.equal(codec.url_encode(data), python(quote, data))
    local quopri = "import quopri\nsys.stdout.buffer.write(quopri.%sstring(sys.stdin.buffer.read()))"
    local text = codec.quoted_printable_encode(data, { binary = true })
    assert.are.equal(data, python(quopri:format "decode", text))
    local line = data:gsub("[\r\n]", "")
    assert.are.equal(line, codec.quoted_printable_decode(python(quopri:format "encode", line)))
    assert.are.equal("[('a b', 'é&'), ('c', '1')]\n", python(
      "import urllib.parse\nprint(urllib.parse.parse_qsl(sys.stdin.read()))",
      codec.form_encode { ["a b"] = "é&", c = 1 }))
  end)

  it("raises for misuse, and blames the caller", function()
    for problem, misuse in pairs {
      ["#1 to 'base64_encode'"] = function() codec.base64_encode() end,
      ["#2 to 'base64_encode' %(option 'line': a multiple of 4"] = function()
        codec.base64_encode("", { line = 75 })
      end,
      ["#2 to 'url_decode' %(unknown option 'pluss'"] = function() codec.url_decode("", { pluss = true }) end,
      ["#1 to 'form_encode' %(table expected, got nil"] = function() codec.form_encode() end,
      ["#1 to 'form_encode' %(field 'a': string"] = function() codec.form_encode { a = print } end,
      ["#2 to 'form_decode' %(option 'max'"] = function() codec.form_decode("", { max = 0 }) end,
    } do
      assert.matches("codec_spec.lua:%d+: bad argument " .. problem, raised(misuse))
    end
  end)
end)
