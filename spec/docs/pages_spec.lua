-- What the pages beside the API name is there: codes, files, links.
local annotations = require "spec.docs.annotations"
local lfs = require "lfs"

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

-- All files below a folder whose name matches.
local function files(folder, pattern, found)
  found = found or {}
  for name in lfs.dir(folder) do
    local path = folder .. "/" .. name
    if name:find("^%.") then -- luacheck: ignore 542
    elseif lfs.attributes(path, "mode") == "directory" then
      files(path, pattern, found)
    elseif name:find(pattern) then
      found[#found + 1] = path
    end
  end
  return found
end

local function expect_none(problems)
  table.sort(problems)
  assert.are.equal("", table.concat(problems, "\n"))
end

local function sorted_keys(set)
  local keys = {}
  for name in pairs(set) do
    keys[#keys + 1] = name
  end
  table.sort(keys)
  return keys
end

describe("docs/errors.md", function()
  local function documented_codes()
    local codes = {}
    for code in read("docs/errors.md"):gmatch("\n| `([%l_]+)` |") do
      codes[code] = true
    end
    return codes
  end

  local function annotated_codes()
    local codes = {}
    local alias = read("lua/meta/fault.lua"):match("@alias moonwire%.code\n(.-)\n\n")
    for code in alias:gmatch('| "([%l_]+)"') do
      codes[code] = true
    end
    return codes
  end

  it("has the codes that editors complete", function()
    assert.is_true(#sorted_keys(documented_codes()) > 15)
    assert.are.same(sorted_keys(annotated_codes()), sorted_keys(documented_codes()))
  end)

  local CODES_IN_C <const> = {
    '{E%u+, "([%l_]+)"}', 'mw_push_word%(L, "([%l_]+)"', 'mw_fault_format%([^,]+,%s*"([%l_]+)"',
    'raise_fault%(L, "([%l_]+)"', 'mw_push_fault_object%(L, "([%l_]+)"',
  }

  it("has every code that the core gives", function()
    local documented, problems, count = documented_codes(), {}, 0
    for _, path in ipairs(files("src", "%.c$")) do
      for _, pattern in ipairs(CODES_IN_C) do
        for code in read(path):gmatch(pattern) do
          count = count + 1
          if not documented[code] then
            problems[#problems + 1] = path .. ": " .. code
          end
        end
      end
    end
    assert.is_true(count > 50)
    expect_none(problems)
  end)

  it("has every code that annotations tell of", function()
    local documented, problems, count = documented_codes(), {}, 0
    for _, path in ipairs(files("lua", "%.lua$")) do
      for _, entry in ipairs(annotations.read_code(path).functions) do
        for _, code in ipairs(entry.codes) do
          count = count + 1
          if not documented[code] then
            problems[#problems + 1] = entry.place .. ": " .. code
          end
        end
      end
    end
    assert.is_true(count > 50)
    expect_none(problems)
  end)

  it("has examples that are Lua", function()
    local blocks = annotations.read_page("docs/errors.md").blocks
    assert.is_true(#blocks > 0)
    for _, block in ipairs(blocks) do
      assert(load(block.text, "=" .. block.place, "t"))
    end
  end)
end)

describe("docs/architecture.md", function()
  it("names files that exist", function()
    local count = 0
    for path in read("docs/architecture.md"):gmatch("`([%w_/]+%.[ch])`") do
      count = count + 1
      local place = path:find("^src/") and path or "src/" .. path
      assert.is_not_nil(lfs.attributes(place, "mode"), path)
    end
    assert.is_true(count > 8)
  end)

  it("names functions and types that exist", function()
    local source = {}
    for _, path in ipairs(files("src", "%.[ch]$")) do
      source[#source + 1] = read(path)
    end
    source = table.concat(source)
    for name in read("docs/architecture.md"):gmatch("mw_[%w_]+") do
      assert.is_not_nil(source:find(name, 1, true), name)
    end
  end)
end)

describe("the documentation", function()
  local function folder_of(path)
    return path:match("^(.*)/[^/]*$") or "."
  end

  it("has links to pages that exist", function()
    local problems, count = {}, 0
    for _, path in ipairs(files("docs", "%.md$", { "README.md" })) do
      for target in read(path):gmatch("%]%(([%w_./-]+)%)") do
        count = count + 1
        if not lfs.attributes(folder_of(path) .. "/" .. target, "mode") then
          problems[#problems + 1] = path .. ": " .. target
        end
      end
    end
    assert.is_true(count > 30)
    expect_none(problems)
  end)

  it("is linked from its first page", function()
    local first = read("docs/api/README.md")
    for _, path in ipairs(files("docs/api", "%.md$")) do
      local name = path:match("([^/]+)$")
      assert.is_true(name == "README.md" or first:find("(" .. name .. ")", 1, true) ~= nil, name)
    end
  end)
end)
