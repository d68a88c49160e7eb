local core = require "moonwire.core"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local process = require "spec.support.process"
local task = require "moonwire.task"
local xml = require "moonwire.xml"

local function raised(fn, ...)
  local ok, problem = pcall(fn, ...)
  assert.is_false(ok)
  return type(problem) == "string" and problem or (core.is_fault(problem))
end

describe("xml.parse", function()
  it("makes tables of elements", function()
    assert.are.same({
      name = "order", attributes = { id = "7", note = 'a<"b"' },
      "\n ",
      { name = "item", attributes = {}, "pen & ", { name = "b", attributes = {}, "ink" }, " <raw>" },
      "A",
    }, xml.parse [==[
<?xml version="1.0" encoding="UTF-8"?><!-- left out --><?and this?>
<order id="7" note='a&lt;"b"'>
 <item>pen &amp; <b>ink</b> <![CDATA[<raw>]]></item><!-- no -->&#65;</order>
]==])
  end)

  it("reads other encodings that a document names", function()
    assert.are.equal("é", xml.parse('<?xml version="1.0" encoding="ISO-8859-1"?><a>\xe9</a>')[1])
  end)

  it("reads documents of every length, whatever the pieces are that Expat gets", function()
    for _, length in ipairs { 16383, 16384, 16385, 32768, 50000 } do
      local text = ("x"):rep(length - #"<a></a>")
      local document = "<a>" .. text .. "</a>"
      assert.are.equal(length, #document)
      assert.are.equal(text, xml.parse(document)[1])
      assert.is_nil((xml.parse(document:sub(1, -2))))
    end
  end)

  it("says line, column and byte of what is wrong", function()
    local cases = {
      { "", "line 1, column 1: no element found", 1 },
      { "<a>\n <b>é</a>", "line 2, column 8: mismatched tag", 13 },
      { "<a/><b/>", "line 1, column 5: junk after document element", 5 },
      { "<a>", "line 1, column 4: no element found", 4 },
      { "<a>&nbsp;</a>", "line 1, column 4: undefined entity", 4 },
      { "<a b=1/>", "line 1, column 6: not well-formed (invalid token)", 6 },
      { "<a>\xff</a>", "line 1, column 4: not well-formed (invalid token)", 4 },
    }
    for _, case in ipairs(cases) do
      assert.are.same({ n = 4, nil, "parse XML at " .. case[2], "invalid", case[3] },
        table.pack(xml.parse(case[1])))
    end
  end)

  it("refuses entities, wherever they come from", function()
    local laughs = { '<!DOCTYPE a [<!ENTITY l0 "lol">' }
    for i = 1, 9 do
      laughs[#laughs + 1] = ('<!ENTITY l%d "%s">'):format(i, ("&l" .. i - 1 .. ";"):rep(10))
    end
    laughs = table.concat(laughs) .. "]><a>&l9;</a>"
    local documents = {
      laughs,
      '<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/passwd">]><a>&f;</a>',
      '<!DOCTYPE a [<!ENTITY % p SYSTEM "http://127.0.0.1/x"> %p;]><a/>',
      '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a>&f;</a>',
      '<!DOCTYPE a [<!ATTLIST a b CDATA "default">]><a/>',
    }
    for _, document in ipairs(documents) do
      for _, options in ipairs { {}, { doctype = true } } do
        local element, err, code = xml.parse(document, options)
        assert.is_nil(element)
        assert.are.equal("invalid", code)
        assert.is_truthy(err:find("document type declaration", 1, true) or err:find("is not known", 1, true))
      end
    end
  end)

  it("skips a document type declaration when told to", function()
    assert.is_nil((xml.parse "<!DOCTYPE html><html/>"))
    assert.are.equal("html", xml.parse("<!DOCTYPE html><html/>", { doctype = true }).name)
    assert.are.equal("a", xml.parse('<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', { doctype = true }).name)
  end)

  it("has limits", function()
    local cases = {
      { ("<a>"):rep(129) .. ("</a>"):rep(129), { depth = 129 } },
      { "<a>" .. ("x"):rep(65537) .. "</a>", { text = 65537 } },
      { "<a>" .. (" "):rep(1024 * 1024) .. "</a>", { max = 2 ^ 21 | 0, text = 2 ^ 21 | 0 } },
      { "<a " .. ("x"):rep(100000) .. "='1'/>", { text = 100000 } },
      { "<a b='" .. ("x"):rep(100000) .. "'/>", { text = 100000 } },
    }
    local attributes = {}
    for i = 1, 129 do
      attributes[i] = ("a%d=''"):format(i)
    end
    cases[#cases + 1] = { "<a " .. table.concat(attributes, " ") .. "/>", { attributes = 129 } }
    for i, case in ipairs(cases) do
      local _, err, code, place = xml.parse(case[1])
      assert.are.same({ i, "too_large", "too_large", "integer" }, { i, err, code, math.type(place) })
      assert.is_table(xml.parse(case[1], case[2]))
    end
  end)

  it("names namespaces when told to", function()
    local text = '<p:a xmlns:p="urn:x" xmlns="urn:y" p:k="1" k="2"><b/></p:a>'
    assert.are.same({
      name = "{urn:x}a", attributes = { ["{urn:x}k"] = "1", k = "2" }, { name = "{urn:y}b", attributes = {} },
    }, xml.parse(text, { namespaces = true }))
    assert.are.equal("p:a", xml.parse(text).name)
    assert.are.equal("urn:x", xml.parse(text).attributes["xmlns:p"])
    assert.is_nil((xml.parse("<p:a/>", { namespaces = true })))
  end)

  it("raises for misuse", function()
    assert.matches("xml_spec.lua:%d+: bad argument #1 to 'parse' %(string expected, got nil",
      raised(function() xml.parse() end))
    assert.matches("xml_spec.lua:%d+: bad argument #2 to 'parse' %(unknown option 'entities'",
      raised(function() xml.parse("<a/>", { entities = true }) end))
  end)
end)

describe("xml.encode", function()
  it("writes what parse reads", function()
    local text = '<p:a b="&lt;&amp;&quot;&#9;&#10;&#13;\'" é="1">x &lt; y &gt; z\n&#13;<c/><d><e/>2</d></p:a>'
    assert.are.equal(text, xml.encode(xml.parse(text)))
    local element = { name = "a", attributes = { b = 1 }, 1.5, { name = "c" } }
    assert.are.equal('<a b="1">1.5<c/></a>', xml.encode(element))
  end)

  it("gives a text that means the same, whatever is in it", function()
    local state = 5
    local function random(below)
      state = state * 6364136223846793005 + 1442695040888963407
      return (state >> 33) % below
    end
    local pieces = { "<", ">", "&", '"', "'", "]]>", "\n", "\r", "\t", "é", "😀", "&amp;", " ", "x" }
    local function text()
      local parts = {}
      for i = 1, random(6) + 1 do
        parts[i] = pieces[random(#pieces) + 1]
      end
      return table.concat(parts)
    end
    local function element(depth)
      local made = { name = "e" .. random(9), attributes = { a = text(), ["b-c"] = text() } }
      for i = 1, depth < 4 and random(4) or 0 do
        made[i] = i % 2 == 1 and text() or element(depth + 1)
      end
      return made
    end
    for _ = 1, 200 do
      local made = element(0)
      assert.are.same(made, xml.parse(xml.encode(made)))
    end
  end)

  it("names the way to what XML has not", function()
    local recursive = { name = "r" }
    recursive[1] = recursive
    for problem, value in pairs {
      ["'a b' is no name of XML"] = { name = "a b" },
      ["a: '<' is no name of XML"] = { name = "a", { name = "<" } },
      ["'{urn:x}a' is no name of XML"] = { name = "{urn:x}a" },
      ["nil is no name of XML"] = {},
      ["a/b: string, number or element expected, got function"] = { name = "a", { name = "b", print } },
      ["a: string, number or element expected, got table"] = { name = "a", attributes = { x = {} } },
      ["a: a text with characters that XML has not"] = { name = "a", "\0" },
      ["a/b: a text with characters that XML has not"] = { name = "a", { name = "b", "\xff" } },
      ["nested too deeply, or an element within itself"] = recursive,
    } do
      local message = raised(function() xml.encode(value) end)
      assert.is_truthy(message:find(problem, 1, true), message)
      assert.matches("xml_spec.lua:%d+: bad argument #1 to 'encode'", message)
    end
  end)

  it("writes what Python reads", function()
    local status, output = process.run { "python3", "-c", [[
import sys, xml.etree.ElementTree as tree
root = tree.fromstring(sys.stdin.buffer.read())
print(root.tag, root.get("k"), repr(root.text), root[0].tag, repr(root[0].tail))]],
      input = xml.encode { name = "a", attributes = { k = "<'\"&\n>" }, "x\r\n", { name = "b" }, "]]>" } }
    assert.are.equal(0, status)
    assert.are.equal("a <'\"&\n> 'x\\r\\n' b ']]>'\n", output)
  end)
end)

describe("xml.events", function()
  local a, b

  before_each(function()
    a, b = net.pair()
  end)

  local function collect(options)
    local found = {}
    for kind, value, attributes in xml.events(b, options) do
      found[#found + 1] = kind .. " " .. value .. (attributes and attributes.id or "")
    end
    return found
  end

  it("come as their bytes do, before the document ends", function()
    local next_event = xml.events(b)
    a:write("<stream id='1'><m")
    assert.are.same({ "start", "stream", { id = "1" } }, { next_event() })
    local reader = task.spawn(next_event)
    a:write(">")
    assert.are.same({ "start", "m", {} }, { reader:join() })
    a:write("he")
    a:flush()
    a:write("llo</m>")
    assert.are.same({ "text", "hello" }, { next_event() })
    assert.are.same({ "end", "m" }, { next_event() })
    a:write("</stream>")
    assert.are.same({ "end", "stream" }, { next_event() })
    assert.is_nil(next_event())
    assert.is_nil(next_event())
  end)

  it("are the same however the bytes arrive", function()
    local document = '<?xml version="1.0"?>\n<s id="é"><a>1 &lt; 2<![CDATA[ & 3]]></a> <b id="&#65;"/></s>'
    task.spawn(function()
      for byte in document:gmatch(".") do
        a:write(byte)
        a:flush()
        task.yield()
      end
    end)
    assert.are.same({
      "start sé", "start a", "text 1 < 2 & 3", "end a", "text  ", "start bA", "end b", "end s",
    }, collect())
  end)

  it("raise what ends them otherwise", function()
    for text, code in pairs {
      ["<a><b>"] = "eof", ["<a></b>"] = "invalid", ["<!DOCTYPE a><a/>"] = "invalid", [""] = "eof",
      [("<a>"):rep(5)] = "too_large", ["<a>12345"] = "too_large",
    } do
      local from, to = net.pair()
      from:write(text)
      from:shutdown_write()
      local ok, fault = pcall(function()
        for _ in xml.events(to, { depth = 4, text = 4 }) do -- luacheck: ignore 542
        end
      end)
      assert.is_false(ok)
      assert.are.equal(code, (core.is_fault(fault)))
    end
  end)

  it("have limits of their own, and none of the whole document unless told to", function()
    local sent = task.spawn(function()
      a:write("<s>")
      for _ = 1, 3000 do
        a:write("<m>", ("x"):rep(500), "</m>")
      end
      a:write("</s>")
    end)
    assert.are.equal(2 + 3 * 3000, #collect())
    sent:join()
    a, b = net.pair()
    a:write("<s>", ("<m/>"):rep(10))
    assert.are.equal("too_large", raised(collect, { max = 42 }))
    a, b = net.pair()
    task.spawn(function() a:write("<s ", ("x"):rep(200000)) end)
    assert.are.equal("too_large", raised(collect))
  end)
end)

describe("a module that is missing", function()
  it("is told with the package to install", function()
    local status, _, errors = process.run {
      moonwire.binary, "run", "-e", 'package.cpath = "" require "moonwire.xml"',
    }
    assert.are.equal(1, status)
    assert.matches("the module 'lxp' is missing: install the Debian package lua%-expat", errors)
  end)
end)
