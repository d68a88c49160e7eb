--- Domains beyond ASCII as DNS knows them: U-labels as A-labels (RFC 5891 §5), by Punycode (RFC 3492).
--- What is no U-label, such as large letters beyond ASCII, is not turned into one: DNS does not know it then.
--- Not for scripts.
local alabel = {}

local LABEL_MOST <const> = 63
local BASE <const>, LEAST <const>, MOST <const> = 36, 1, 26
local SKEW <const>, DAMP <const>, BIAS <const> = 38, 700, 72

local function adapt(delta, count, is_first)
  delta = delta // (is_first and DAMP or 2)
  delta = delta + delta // count
  local steps = 0
  while delta > (BASE - LEAST) * MOST // 2 do
    delta = delta // (BASE - LEAST)
    steps = steps + BASE
  end
  return steps + (BASE - LEAST + 1) * delta // (delta + SKEW)
end

local function add_digit(out, value)
  out[#out + 1] = string.char(value < 26 and 97 + value or 22 + value)
end

local function add_number(out, number, bias)
  local step = BASE
  while true do
    local threshold = math.max(LEAST, math.min(MOST, step - bias))
    if number < threshold then
      return add_digit(out, number)
    end
    add_digit(out, threshold + (number - threshold) % (BASE - threshold))
    number = (number - threshold) // (BASE - threshold)
    step = step + BASE
  end
end

local function least_from(points, first)
  local least = math.maxinteger
  for _, point in ipairs(points) do
    least = point >= first and math.min(least, point) or least
  end
  return least
end

local function punycode(points, out)
  local next_point, delta, bias = 128, 0, BIAS
  local basic = #out
  local done = basic
  out[basic + 1] = basic > 0 and "-" or nil
  while done < #points do
    local point = least_from(points, next_point)
    delta = delta + (point - next_point) * (done + 1)
    for _, other in ipairs(points) do
      if other == point then
        add_number(out, delta, bias)
        bias = adapt(delta, done + 1, done == basic)
        delta, done = 0, done + 1
      elseif other < point then
        delta = delta + 1
      end
    end
    delta, next_point = delta + 1, point + 1
  end
  return table.concat(out)
end

local function write_label(label)
  if not label:find "[\128-\255]" then
    return label
  elseif label:sub(1, 4) == "xn--" or not utf8.len(label) then
    return nil
  end
  local points, basic = {}, {}
  for _, point in utf8.codes(label) do
    points[#points + 1] = point
    basic[#basic + 1] = point < 128 and string.char(point) or nil
  end
  return "xn--" .. punycode(points, basic)
end

--- A domain with A-labels.
---@param domain string in small letters
---@return string? ascii nil: there is no such domain
function alabel.of_domain(domain)
  local labels = {}
  for label in (domain .. "."):gmatch "([^.]*)%." do
    local written = write_label(label)
    if not written or #written > LABEL_MOST then
      return nil
    end
    labels[#labels + 1] = written
  end
  return table.concat(labels, ".")
end

return alabel
