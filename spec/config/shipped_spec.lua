-- The config that is shipped, and the pages about it, name every option with what it is by default, and none
-- that is not there.
local authority = require "spec.support.authority"
local config = require "moonwire.config"
local folder = require "spec.support.folder"
local kind = require "moonwire.config.kind"
local listener = require "moonwire.config.listener"
local place = require "moonwire.config.place"
local probe = require "moonwire.probe"
local schema = require "moonwire.config.schema"
local units = require "moonwire.config.units"

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

-- Options by their paths: "limits.connections" → field. Those of listeners are below "listen".
local function all_fields(fields, prefix, found)
  for _, field in ipairs(fields) do
    found[prefix .. field.name] = field
    if field.kind.fields then
      all_fields(field.kind.fields, prefix .. field.name .. ".", found)
    end
  end
  return found
end

local function daemon_fields()
  return all_fields(schema.daemon, "", {})
end

local function service_fields()
  local found = all_fields(schema.service, "", {})
  return all_fields(listener.fields, "listen.", found)
end

-- A table of options as paths, as all_fields names them.
local function flatten(given, fields, prefix, found)
  for name, value in pairs(given) do
    local field = assert(kind.field(fields, name), prefix .. name)
    found[prefix .. name] = value
    if field.kind.fields then
      flatten(value, field.kind.fields, prefix .. name .. ".", found)
    end
  end
  return found
end

local function sorted(set)
  local names = {}
  for name in pairs(set) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

-- The shipped text with every option in force.
local function uncommented()
  return ("\n" .. read "config/moonwire.lua"):gsub("\n%-%-([^%s%-])", "\n%1"):gsub("\n%-%-(  )", "\n%1")
end

-- What the text sets: options of the daemon, and the table of its first service, which shows them all.
local function run(text)
  local options, service = {}, nil
  local words = { include = function() end }
  function words.service()
    return function(value)
      service = service or value
    end
  end
  assert(load(text, "=config", "t", setmetatable({}, { __index = words, __newindex = options })))()
  return options, service
end

-- Both read, since "60s" and "1m" are the same.
local function is_same(field, value, expected)
  local at = place.new("spec"):below("value")
  assert.are.same(field.kind.read(expected, at), field.kind.read(value, at), field.name)
end

describe("the shipped config", function()
  it("is good as it is, and sets nothing", function()
    local whole = assert(config.read "config/moonwire.lua")
    assert.are.same({}, whole.services)
    assert.are.same({}, (run(read "config/moonwire.lua")))
    assert.are.same(config.read("config/moonwire.lua").daemon, whole.daemon)
  end)

  it("is good with every option in force, with a service that works", function()
    local here <close> = folder.new()
    local ca = authority.new(here)
    local pair = ca:issue { "localhost" }
    here:write("tls/fullchain.pem", pair.pem)
    here:write("tls/key.pem", pair.key_pem)
    here:write("tls/clients.pem", ca.pem)
    assert(os.rename(ca:staple(pair), here.path .. "/tls/staple.der"))
    local result = probe.judge(here:write("moonwire.lua", uncommented()), function() end)
    assert.is_nil(result.fault)
    assert.are.equal("echo", result.services[1].name)
    assert.are.equal(3, #result.services[1].listeners)
    assert.matches("/examples/echo%.lua$", result.services[1].worker.script)
  end)

  it("has every option of the daemon, with its default", function()
    local options = flatten((run(uncommented())), schema.daemon, "", {})
    assert.are.same(sorted(daemon_fields()), sorted(options))
    for name, field in pairs(daemon_fields()) do
      if field.default ~= nil and not field.kind.fields then
        is_same(field, options[name], field.default)
      elseif field.example then
        assert.are.same(field.example, options[name])
      end
    end
  end)

  it("has every option of a service, with its default", function()
    local _, service = run(uncommented())
    local options = flatten(service, schema.service, "", {})
    for _, one in ipairs(service.listen) do
      for name, value in pairs(type(one) == "table" and one or {}) do
        options["listen." .. name] = value
      end
    end
    options["listen.door"] = "web" -- stands there as a remark: the script has none
    assert.are.same(sorted(service_fields()), sorted(options))
    for name, field in pairs(service_fields()) do
      if field.default ~= nil and not field.kind.fields and name ~= "listen" then
        is_same(field, options[name], field.default)
      end
    end
  end)

  it("says of every option why", function()
    local text = read "config/moonwire.lua"
    for _, fields in ipairs { daemon_fields(), service_fields() } do
      for name, field in pairs(fields) do
        local own = name:match("[%w_]+$")
        local line = text:match("[^\n]*%-%-[^\n]*\n%-*%s*" .. own .. " = ")
          or text:match("%-%-[^\n]*%f[%w]" .. own .. " = [^\n]*%-%- ")
        assert.is_truthy(line, name .. ": " .. field.why)
      end
    end
  end)
end)

-- A default as the pages show it.
local function show(field)
  if field.default == nil then
    return "none"
  elseif type(field.default) == "table" then
    return "{}"
  end
  return type(field.default) == "string" and ('"%s"'):format(field.default) or tostring(field.default)
end

local SECTIONS <const> = {
  ["the daemon"] = schema.daemon, ["a service"] = schema.service, ["a listener"] = listener.fields,
}

-- Calls with each section's name, and its options as the pages name them: path → default. Tables of options
-- are none themselves.
local function each_section(visit)
  for section, fields in pairs(SECTIONS) do
    local expected = {}
    for name, field in pairs(all_fields(fields, "", {})) do
      expected[name] = not field.kind.fields and show(field) or nil
    end
    visit(section, expected)
  end
end

describe("docs/config.md", function()
  local page = read "docs/config.md"

  it("has every option and no other, with its default", function()
    each_section(function(section, expected)
      local text = assert(page:match("\n## Options of " .. section .. "\n(.-)\n## "), section)
      local found = {}
      for name, default in text:gmatch("\n| `([%w_.]+)` | ([^|]-) |") do
        assert.is_nil(found[name], name .. " stands there twice")
        found[name] = default:gsub("`", "")
      end
      assert.are.same(expected, found)
    end)
  end)

  it("has examples that are good configs", function()
    local count = 0
    for block in page:gmatch("```lua\n(.-)```") do
      count = count + 1
      local here <close> = folder.new()
      here:write("echo.lua", "return print")
      here:write("conf.d/mail.lua", "")
      local _, fault = config.control(here:write("moonwire.lua", block))
      assert.is_nil(fault)
    end
    assert.is_true(count >= 2)
  end)
end)

describe("the page moonwire.lua(5)", function()
  local page = read "docs/moonwire.lua.5"

  it("has every option and no other, with its default", function()
    each_section(function(section, expected)
      local heading = ("\n.SH OPTIONS OF %s\n"):format(section:upper())
      local from = select(2, assert(page:find(heading, 1, true)))
      local text = page:sub(from, (page:find("\n%.SH", from)))
      local found = {}
      for name, default in text:gmatch("\n%.BR? ([%w_.]+) \"? ?%(default (.-)%)\"?\n") do
        assert.is_nil(found[name], name .. " stands there twice")
        found[name] = default:gsub('""', '"')
      end
      assert.are.same(expected, found)
    end)
  end)

  it("tells the units that there are", function()
    for _, unit in ipairs { "ms", "s", "m", "h", "d" } do
      assert.is_not_nil(units.seconds("1" .. unit))
      assert.is_truthy(page:find("\n%.B[RI]? [^\n]*%f[%w]" .. unit .. "%f[%W]"), unit)
    end
    for _, unit in ipairs { "K", "M", "G", "T" } do
      assert.is_not_nil(units.bytes("1" .. unit))
      assert.is_truthy(page:find("\n%.B[RI]? [^\n]*%f[%w]" .. unit .. "%f[%W]"), unit)
    end
  end)
end)
