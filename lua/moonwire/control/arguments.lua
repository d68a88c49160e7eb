--- The command line of a control command: options as getopt_long reads them, and
--- the help that tells of them. Not for scripts.
local arguments = {}

local TEXT_COLUMN <const> = 27

---@class moonwire.control.option
---@field name string without dashes
---@field short? string one letter
---@field value? string what the help calls its value; nil: it has none
---@field text string for the help; lines after the first are indented
---@field read? fun(text: string): any, string? the value, or nil and what should have been there

---@class moonwire.control.command
---@field name string
---@field usage string what may follow the name, but for options that all have
---@field about string the paragraph of the help
---@field operands? { least: integer, most: integer } default: none
---@field options moonwire.control.option[]
---@field check? fun(values: table): string? what is wrong with them together
---@field request? fun(values: table): table
---@field seconds? fun(values: table): number that the answer may take
---@field show? fun(answer: table, values: table): string?, string? what to print, and what failed
--- Instead of request and show; what failed, if anything did.
---@field run? fun(path: string, values: table): moonwire.control.kind?, string?

---@type moonwire.control.option[]
local COMMON <const> = {
  { name = "control", value = "PATH", text = "the daemon's control socket" },
  { name = "config", short = "c", value = "FILE", text = "the config that names it" },
  { name = "help", short = "h", text = "this text" },
}

local function options_of(command)
  local options = table.move(command.options, 1, #command.options, 1, {})
  return table.move(COMMON, 1, #COMMON, #options + 1, options)
end

-- The option of a long name, which may be cut short as long as it is the only one.
local function find(options, name)
  local found = {}
  for _, option in ipairs(options) do
    if option.name == name then
      return option
    elseif option.name:sub(1, #name) == name then
      found[#found + 1] = option
    end
  end
  if #found == 1 then
    return found[1]
  elseif not found[1] then
    return nil, ("unrecognized option '--%s'"):format(name)
  end
  local names = {}
  for i, option in ipairs(found) do
    names[i] = ("'--%s'"):format(option.name)
  end
  return nil, ("option '--%s' is ambiguous; possibilities: %s"):format(name, table.concat(names, " "))
end

local function find_short(options, letter)
  for _, option in ipairs(options) do
    if option.short == letter then
      return option
    end
  end
  return nil, ("invalid option -- '%s'"):format(letter)
end

local function take(values, option, text)
  if not option.value then
    values[option.name] = true
    return true
  end
  local value, expected = text, nil
  if option.read then
    value, expected = option.read(text)
  end
  if value == nil then
    return nil, ("--%s: %s expected, got '%s'"):format(option.name, expected, text)
  end
  values[option.name] = value
  return true
end

-- Takes the option that begins at words[i]. → how many words it takes, or nil and a message
local function read_long(options, values, words, i)
  local name, text = words[i]:match("^%-%-([^=]+)=?(.*)$")
  local has_text = words[i]:find("=", 1, true)
  local option, message = find(options, name or "")
  if not option then
    return nil, message
  elseif has_text and not option.value then
    return nil, ("option '--%s' doesn't allow an argument"):format(option.name)
  elseif option.value and not has_text and not words[i + 1] then
    return nil, ("option '--%s' requires an argument"):format(option.name)
  end
  local ok
  ok, message = take(values, option, has_text and text or words[i + 1])
  if not ok then
    return nil, message
  end
  return option.value and not has_text and 2 or 1
end

-- The same for "-c FILE", "-cFILE" and "-h".
local function read_short(options, values, words, i)
  local letter, rest = words[i]:match("^%-(.)(.*)$")
  local option, message = find_short(options, letter)
  if not option then
    return nil, message
  elseif not option.value then
    take(values, option)
    if rest ~= "" then
      return read_short(options, values, { "-" .. rest }, 1)
    end
    return 1
  elseif rest == "" and not words[i + 1] then
    return nil, ("option requires an argument -- '%s'"):format(letter)
  end
  take(values, option, rest ~= "" and rest or words[i + 1])
  return rest ~= "" and 1 or 2
end

local function read_words(options, values, words)
  local i, ended = 1, false
  while words[i] do
    local used, message = 1, nil
    if ended or not words[i]:find("^%-.") then
      values[#values + 1] = words[i]
    elseif words[i] == "--" then
      ended = true
    elseif words[i]:find("^%-%-") then
      used, message = read_long(options, values, words, i)
    else
      used, message = read_short(options, values, words, i)
    end
    if not used then
      return nil, message
    end
    i = i + used
  end
  return true
end

local function check_operands(command, values)
  local limits = command.operands or { least = 0, most = 0 }
  if #values > limits.most then
    return ("%s: one argument too many: '%s'"):format(command.name, values[limits.most + 1])
  elseif #values < limits.least then
    return ("%s: an argument is missing, as in: %s %s"):format(command.name, command.name, command.usage)
  end
end

--- Reads what follows the name of the command.
---@param command moonwire.control.command
---@param words string[]
---@return table<string|integer, any>? values of options by name, and operands
---@return string? message what was not understood
function arguments.read(command, words)
  local values = {}
  local ok, message = read_words(options_of(command), values, words)
  if not ok then
    return nil, message
  elseif values.help then
    return values
  end
  message = check_operands(command, values)
  if not message and values.control and values.config then
    message = "either --control or -c, not both"
  end
  message = message or command.check and command.check(values)
  if message then
    return nil, message
  end
  return values
end

local function describe(option)
  local name = ("  %s--%s%s"):format(option.short and ("-%s, "):format(option.short) or "    ", option.name,
    option.value and " " .. option.value or "")
  local text = option.text:gsub("\n", "\n" .. (" "):rep(TEXT_COLUMN))
  if #name + 2 > TEXT_COLUMN then
    return name .. "\n" .. (" "):rep(TEXT_COLUMN) .. text
  end
  return name .. (" "):rep(TEXT_COLUMN - #name) .. text
end

--- What --help prints.
---@param command moonwire.control.command
---@return string
function arguments.help(command)
  local lines = {
    ("usage: moonwire %s%s [--control PATH | -c FILE]"):format(
      command.name, command.usage ~= "" and " " .. command.usage or ""),
    "", command.about, "",
  }
  for _, option in ipairs(options_of(command)) do
    lines[#lines + 1] = describe(option)
  end
  return table.concat(lines, "\n") .. "\n"
end

return arguments
