--- What the backend "redis:" has carried out at the server, each in one step. Not for scripts.
---
--- KEYS[1] is the key, KEYS[2] the sorted set of all keys. ARGV[1] is the key as the store knows it, ARGV[2]
--- what stands before that. Numbers of scripts of Redis are doubles: those of more digits travel as text.
local scripts = {}

-- Two looks at others for each new key: at most half of the set is out of date in the long run.
local HEAD <const> = [[
local key, index, name, prefix = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
local function enter()
  if redis.call("ZADD", index, 0, name) == 1 then
    for _, other in ipairs(redis.call("ZRANDMEMBER", index, 2)) do
      if redis.call("EXISTS", prefix .. other) == 0 then
        redis.call("ZREM", index, other)
      end
    end
  end
end
local function leave()
  redis.call("ZREM", index, name)
  return redis.call("DEL", key)
end
local function set(bytes, milliseconds, condition)
  local words = { "SET", key, bytes }
  if milliseconds ~= "" then
    words[4], words[5] = "PX", milliseconds
  end
  if condition ~= "" then
    words[#words + 1] = condition
  end
  if not redis.call(unpack(words)) then
    return 0
  end
  enter()
  return 1
end
]]

--- ARGV: bytes, milliseconds or "", "NX" or "". → whether it was set
scripts.SET = HEAD .. [[return set(ARGV[3], ARGV[4], ARGV[5])]]

--- → whether it was there
scripts.DELETE = HEAD .. [[return leave()]]

--- ARGV: number, milliseconds or "" of a key that is new. → the sum as text
scripts.INCR = HEAD .. [[
local is_new = redis.call("EXISTS", key) == 0
redis.call("INCRBY", key, ARGV[3])
if is_new then
  if ARGV[4] ~= "" then
    redis.call("PEXPIRE", key, ARGV[4])
  end
  enter()
end
return redis.call("GET", key)]]

--- ARGV: milliseconds or "". → whether it is there
scripts.EXPIRE = [[
if redis.call("EXISTS", KEYS[1]) == 0 then
  return 0
elseif ARGV[3] == "" then
  redis.call("PERSIST", KEYS[1])
else
  redis.call("PEXPIRE", KEYS[1], ARGV[3])
end
return 1]]

--- ARGV: milliseconds or "", "is" or not, the bytes expected, "set" or not, the new bytes.
--- → whether it was so
scripts.COMPARE_AND_SET = HEAD .. [[
local bytes = redis.call("GET", key)
if ARGV[4] == "is" and bytes ~= ARGV[5] or ARGV[4] ~= "is" and bytes then
  return 0
elseif ARGV[6] == "set" then
  return set(ARGV[7], ARGV[3], "")
end
leave()
return 1]]

--- KEYS[1] is the sorted set; ARGV: what stands before keys, from, to, how many. → where to go on ("" when
--- there is no more), key, bytes, key, bytes, … It ends early when that is much.
scripts.SCAN = [[
local prefix, from, to, count = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local found, size, looks = { "" }, 0, 0
local names = redis.call("ZRANGEBYLEX", KEYS[1], from, to, "LIMIT", 0, 1000)
for _, name in ipairs(names) do
  if #found > 2 * count or size > 4194304 then
    break
  end
  local bytes = redis.call("GET", prefix .. name)
  looks, from = looks + 1, "(" .. name
  if bytes then
    found[#found + 1], found[#found + 2] = name, bytes
    size = size + #bytes
  else
    redis.call("ZREM", KEYS[1], name)
  end
end
if looks < #names or #names == 1000 then
  found[1] = from
end
return found]]

return scripts
