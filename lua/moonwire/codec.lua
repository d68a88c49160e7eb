--- Bytes as text and back: base64, base64url, hex, percent encoding, forms,
--- quoted-printable. Decoders are strict: what no encoder writes is refused with
--- its place, so that every value has one text.
local check = require "moonwire.check"
local core = require "moonwire.core"

local codec = {}

local FIELDS_DEFAULT <const> = 1000
local FORM_KNOWN <const> = { max = "integer" }

---@class moonwire.base64_encode_options
--- Characters in a line, a multiple of 4 up to 996; each ends with CRLF. Default: one line without an end.
---@field line? integer

---@class moonwire.base64_decode_options
---@field spaced? boolean spaces, tabs and line ends are skipped, as in mail; default false

--- Base64 with padding (RFC 4648).
---@param data string
---@param options? moonwire.base64_encode_options
---@return string text
codec.base64_encode = core.codec.base64_encode

--- The bytes of a base64 text. Padding must be there.
---@param text string
---@param options? moonwire.base64_decode_options
---@return string? data
---@return string? err
---@return moonwire.code? code "invalid"
---@return integer? place of the byte that is wrong, from 1
codec.base64_decode = core.codec.base64_decode

--- Base64 for addresses, file names and tokens: "-" and "_" for "+" and "/", without padding.
---@param data string
---@return string text
codec.base64url_encode = core.codec.base64url_encode

--- The bytes of a base64url text, without padding or with the right one.
---@param text string
---@return string? data
---@return string? err
---@return moonwire.code? code "invalid"
---@return integer? place of the byte that is wrong, from 1
codec.base64url_decode = core.codec.base64url_decode

--- Two lower-case digits for each byte.
---@param data string
---@return string text
codec.hex_encode = core.codec.hex_encode

--- The bytes of hexadecimal digits, of either case.
---@param text string
---@return string? data
---@return string? err
---@return moonwire.code? code "invalid"
---@return integer? place of the byte that is wrong, from 1
codec.hex_decode = core.codec.hex_decode

---@class moonwire.url_code_options
---@field plus? boolean a space is "+", as in forms; default false

--- Percent encoding of a part of an address (RFC 3986): letters, digits and
--- "-._~" stay, all other bytes become %XX.
---@param data string
---@param options? moonwire.url_code_options
---@return string text
codec.url_encode = core.codec.url_encode

--- Percent encoding undone. Other bytes stay as they are.
---@param text string
---@param options? moonwire.url_code_options
---@return string? data
---@return string? err
---@return moonwire.code? code "invalid"
---@return integer? place of the byte that is wrong, from 1
codec.url_decode = core.codec.url_decode

---@class moonwire.quoted_printable_options
---@field binary? boolean line ends are bytes as all others; default false: they become CRLF

--- Quoted-printable (RFC 2045), for text in mail: lines of 76 characters at most.
---@param data string
---@param options? moonwire.quoted_printable_options
---@return string text
codec.quoted_printable_encode = core.codec.quoted_printable_encode

--- The bytes of a quoted-printable text. Blanks at the end of a line are
--- dropped, as the RFC has it; line ends stay as they are.
---@param text string
---@return string? data
---@return string? err
---@return moonwire.code? code "invalid"
---@return integer? place of the byte that is wrong, from 1
codec.quoted_printable_decode = core.codec.quoted_printable_decode

local FIELD_TYPES <const> = { string = true, number = true, boolean = true }

local function encode_field(name, value)
  return codec.url_encode(name, { plus = true }) .. "=" .. codec.url_encode(tostring(value), { plus = true })
end

--- The fields of a form as application/x-www-form-urlencoded, in the order of
--- their names.
---@param fields table<string, string|number|boolean|any[]> a list: one field for each value
---@return string text
function codec.form_encode(fields)
  check.type(fields, "table", 1, "form_encode")
  local names, parts = {}, {}
  for name in pairs(fields) do
    check.type(name, "string", 1, "form_encode")
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local value = fields[name]
    for _, one in ipairs(type(value) == "table" and value or { value }) do
      if not FIELD_TYPES[type(one)] then
        local problem = "field '%s': string, number, boolean or a list of them expected, got %s"
        check.refuse(1, "form_encode", problem:format(name, type(one)))
      end
      parts[#parts + 1] = encode_field(name, one)
    end
  end
  return table.concat(parts, "&")
end

---@class moonwire.form_decode_options
---@field max? integer fields at most; default 1000

-- Name and value of a field, which begins at byte `from` of the form.
local function decode_field(field, from)
  local name, value = field:match("^([^=]*)=?(.*)$")
  local decoded_name, _, _, place = codec.url_decode(name, { plus = true })
  local decoded_value
  if decoded_name then
    decoded_value, _, _, place = codec.url_decode(value, { plus = true })
    place = place and place + #name + 1
  end
  if not decoded_value then
    place = from + place - 1
    local err = ("decode form at byte %d: '%%' without two hexadecimal digits behind it"):format(place)
    return nil, err, "invalid", place
  end
  return decoded_name, decoded_value
end

--- The fields of an application/x-www-form-urlencoded text, which a query of
--- an address is too. Of a name that occurs several times the first value counts
--- in `fields`, so that nobody gets a list who expects a string; `lists` has all.
---@param text string
---@param options? moonwire.form_decode_options
---@return table<string, string>? fields
---@return table<string, string[]>|string lists or err
---@return moonwire.code? code "invalid", "too_large" when there are more than `max`
---@return integer? place of the byte that is wrong, from 1
function codec.form_decode(text, options)
  check.type(text, "string", 1, "form_decode")
  check.options(options, FORM_KNOWN, 2, "form_decode")
  local max, count, fields, lists = options and options.max or FIELDS_DEFAULT, 0, {}, {}
  for from, field in text:gmatch("()([^&]+)") do
    count = count + 1
    if count > max then
      return nil, "too_large", "too_large", from
    end
    local name, value, code, place = decode_field(field, from)
    if not name then
      return nil, value, code, place
    end
    fields[name] = fields[name] or value
    lists[name] = lists[name] or {}
    table.insert(lists[name], value)
  end
  return fields, lists
end

return codec
