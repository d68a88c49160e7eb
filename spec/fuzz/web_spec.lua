-- What clients send to the web library, changed at random: it is read or refused, in time, and the same
-- however it is cut.
local codec = require "moonwire.codec"
local cookie = require "moonwire.http.cookie"
local core = require "moonwire.core"
local media = require "moonwire.http.media"
local multipart = require "moonwire.http.multipart"
local mutation = require "spec.fuzz.mutation"
local query = require "moonwire.http.query"
local template = require "moonwire.http.template"

local ROUNDS <const> = 500

local WORDS <const> = {
  "\r\n", "--", "a", "\r", "\n", ";", "=", '"', "\\", "%", "%0", "+", "&", "{{", "}}", "{%", "%}", "{#",
  "for", "end", "in", "|", "\0", "\xFF", " ", ":", ",", "q=", "*/*", "name", "filename=", "(", ")", "[", "]",
  "..", "if", "set",
}

local function mutate(text)
  return mutation.change(text, math.random(4), WORDS)
end

-- What a function returns; a message of Lua's own, with a line of the library in it, is a mistake.
local function guard(text, fn, ...)
  local result = table.pack(pcall(fn, ...))
  local problem = not result[1] and result[2]
  if type(problem) == "string" and problem:find("^%S*/lua/moonwire/") then
    error(("%s\nfor %s"):format(problem, codec.url_encode(text)), 0)
  end
  return result
end

local function read_parts(text, sizes)
  local at, seen = 1, {}
  for part in multipart.parts(function()
    if at > #text then
      return nil, "eof", "eof"
    end
    local from = at
    at = at + sizes()
    return text:sub(from, at - 1)
  end, "a", { max_parts = 20, max_header = 300 }) do
    seen[#seen + 1] = ("%s|%s|%s"):format(part.name, part.filename, part.type)
    for chunk in part:chunks() do
      seen[#seen] = seen[#seen] .. "\1" .. chunk
    end
    seen[#seen] = seen[#seen]:gsub("\1", "")
  end
  return table.concat(seen, "\n")
end

local function outcome(result)
  return result[1] and result[2] or core.is_fault(result[2])
end

local FORM <const> = '--a\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n'
  .. '--a\r\nContent-Disposition: form-data; name=f; filename="a\\"b%22.txt"\r\n'
  .. "Content-Type: text/plain\r\n\r\n--a-\r\n-a\r\n--a--\r\n"

local PAGE <const> = [[
{% for i, x in list %}
  {{ x.name | upper }} {{{ i + 1 .. "a" }}} {# c #}
  {% if x.a == 1 and not (i > 2) %}{% set n = #list %}{{ n }}{% elseif x["a"] %}b{% else %}c{% end %}
{% end %}
{% for k, v of map %}{{ k }}={{ v | json }}{% end %}{{ 'a' | join(',') }}]]

describe("the web library", function()
  it("reads changed forms the same, however they are cut", function()
    for _ = 1, ROUNDS do
      local text = mutate(FORM)
      local whole = outcome(guard(text, read_parts, text, function() return #text + 1 end))
      local cut = outcome(guard(text, read_parts, text, function() return math.random(9) end))
      assert.are.equal(whole, cut, codec.url_encode(text))
    end
  end)

  it("reads changed fields and queries", function()
    for _ = 1, ROUNDS do
      local text = mutate 'a=1; b="2"; c=x; text/html;q=0.5;x="y", */*;q=0.1&d=%20+&e'
      local cookies = guard(text, cookie.parse, text)[2]
      for name, value in pairs(cookies) do
        if name:find("^%w+$") then
          assert.are.equal(value, cookie.find(text, name), codec.url_encode(text))
        end
      end
      guard(text, media.parse, text)
      guard(text, media.choose, text, { "text/html", "application/json" })
      local values = guard(text, query.parse, text)[2]
      local again = assert(query.parse(query.encode(values)))
      assert.are.same(values, again)
    end
  end)

  it("takes or refuses changed templates", function()
    local values = { list = { { name = "<", a = 1 }, { name = "b" } }, map = { a = "<" } }
    for _ = 1, ROUNDS do
      local text = mutate(PAGE)
      local compiled = guard(text, template.compile, text)
      if compiled[1] then
        local rendered = guard(text, compiled[2].render, compiled[2], values)
        assert.is_true(rendered[1] or rendered[2]:find("^template:%d+: ") ~= nil, rendered[2])
      else
        assert.matches("template:%d+: ", compiled[2])
      end
    end
  end)
end)
