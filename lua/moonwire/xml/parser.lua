--- Expat with limits: bytes in, events out. Not for scripts.
local library = require "moonwire.library"
local lxp = library.require("lxp", "lua-expat")

local DEPTH_DEFAULT <const> = 128
local ATTRIBUTES_DEFAULT <const> = 128
local TEXT_DEFAULT <const> = 65536
local PIECE <const> = 16384 -- bytes that Expat gets at once: limits are looked at in between

---@class moonwire.xml_parser
---@field expat table
---@field options moonwire.xml_options with all limits
---@field events table[] { "start", name, attributes }, { "text", text }, { "end", name }
---@field text string[] pieces of the text that is not an event yet
---@field text_size integer
---@field depth integer
---@field fed integer bytes
---@field complete boolean the root element has ended
---@field fault? table err, code and place
local Parser = {}
Parser.__index = Parser

-- Expat joins namespace and name with the one character that neither can have.
local NAMESPACE_END <const> = "}"

local function full_name(name)
  return name:find(NAMESPACE_END, 1, true) and "{" .. name or name
end

-- The place where Expat is, in words; column and byte from 1.
local function where(line, column, byte)
  return ("at line %d, column %d"):format(line, column), math.max(byte, 1)
end

-- Expat ends here: nothing more is called.
local function refuse(self, problem, code)
  if not self.fault then
    local text, byte = where(self.expat:pos())
    local err = code == "too_large" and code or ("parse XML %s: %s"):format(text, problem)
    self.fault = { err, code or "invalid", byte }
    self.expat:stop()
  end
end

local function refuse_size(self)
  refuse(self, nil, "too_large")
end

local function flush_text(self)
  if self.text_size > 0 then
    table.insert(self.events, { "text", table.concat(self.text) })
    self.text, self.text_size = {}, 0
  end
end

local function on_start(self, name, attributes)
  flush_text(self)
  self.depth = self.depth + 1
  if self.depth > self.options.depth or #attributes > self.options.attributes then
    return refuse_size(self)
  end
  local named = {}
  for _, key in ipairs(attributes) do
    named[full_name(key)] = attributes[key]
  end
  table.insert(self.events, { "start", full_name(name), named })
end

local function on_stop(self, name)
  flush_text(self)
  self.depth = self.depth - 1
  self.complete = self.depth == 0
  table.insert(self.events, { "end", full_name(name) })
end

local function on_text(self, text)
  table.insert(self.text, text)
  self.text_size = self.text_size + #text
  if self.text_size > self.options.text then
    refuse_size(self)
  end
end

local function on_doctype(self, has_subset)
  if has_subset or not self.options.doctype then
    refuse(self, "a document type declaration" .. (has_subset and " with declarations of its own" or ""))
  end
end

local function callbacks(self)
  return {
    StartElement = function(_, name, attributes) on_start(self, name, attributes) end,
    EndElement = function(_, name) on_stop(self, name) end,
    CharacterData = function(_, text) on_text(self, text) end,
    StartDoctypeDecl = function(_, _, _, _, has_subset) on_doctype(self, has_subset) end,
    SkippedEntity = function(_, name) refuse(self, ("the entity '%s' is not known"):format(name)) end,
    ExternalEntityRef = function() refuse(self, "an entity outside of the document") end,
  }
end

--- A parser for one document.
---@param options moonwire.xml_options
---@param max integer bytes, if the options have no limit
---@return moonwire.xml_parser
function Parser.new(options, max)
  local self = setmetatable({
    options = {
      max = options.max or max, depth = options.depth or DEPTH_DEFAULT, text = options.text or TEXT_DEFAULT,
      attributes = options.attributes or ATTRIBUTES_DEFAULT, doctype = options.doctype,
    },
    events = {}, text = {}, text_size = 0, depth = 0, fed = 0, complete = false,
  }, Parser)
  self.expat = lxp.new(callbacks(self), options.namespaces and NAMESPACE_END or nil)
  return self
end

-- What Expat says of a text, or of its end when that is nil.
local function parse(self, text)
  local ok, problem, line, column, byte = self.expat:parse(text)
  if not ok and not self.fault then
    local place, offset = where(line, column, byte)
    self.fault = { ("parse XML %s: %s"):format(place, problem), "invalid", offset }
  end
end

-- A tag that does not end is kept by Expat, which has no limit.
local function is_tag_too_large(self)
  local _, _, byte = self.expat:pos()
  return self.fed - byte > self.options.text + PIECE
end

--- Takes bytes in.
---@param text string
---@param last boolean nothing will follow
---@return table[]? events since the last call
---@return string? err
---@return string? code
---@return integer? place
function Parser:feed(text, last)
  self.events = {}
  for at = 1, #text, PIECE do
    local piece = text:sub(at, at + PIECE - 1)
    self.fed = self.fed + #piece
    if self.fed > self.options.max then
      self.fault = self.fault or { "too_large", "too_large", self.options.max + 1 }
    end
    if not self.fault then
      parse(self, piece)
    end
    if not self.fault and is_tag_too_large(self) then
      refuse_size(self)
    end
  end
  if last and not self.fault then
    parse(self, nil)
  end
  if self.fault then
    self:close()
    return nil, table.unpack(self.fault, 1, 3)
  end
  return self.events
end

--- Frees what Expat holds.
function Parser:close()
  if self.expat then
    pcall(self.expat.close, self.expat)
    self.expat = nil
  end
end

Parser.__close = Parser.close

return Parser
