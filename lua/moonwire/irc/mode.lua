--- The command MODE. Not for scripts.
local mode = {}

local CHANGES_MOST <const> = 4 -- with a word behind, as ISUPPORT says
local NEEDS_WORD <const> = { o = true, v = true, b = true, k = true }
-- That clients set by themselves; nothing comes of them.
local OWN_MODES <const> = { i = true, w = true, s = true }

local function tell_bans(session, room)
  for _, mask in ipairs(room.bans) do
    session:reply("ban_list", room.name, mask)
  end
  session:reply("end_of_ban_list", room.name)
end

local function tell_modes(session, room)
  local letters, words = room:modes(room:has(session.member))
  session:reply("channel_mode", room.name, letters, table.unpack(words))
  session:reply("creation_time", room.name, tostring(room.created))
end

local function refuse(session, room, letter, word, reason)
  if reason == "not_operator" then
    session:reply("not_operator", room.name)
  elseif reason == "absent" then
    session:reply("not_on_channel", room.name)
  elseif reason == "unknown" then
    session:reply("unknown_mode", letter)
  elseif reason == "not_there" then
    session:reply("not_there", word, room.name)
  elseif reason == "full" then
    session:reply("ban_list_full", room.name, letter)
  else
    session:reply("invalid_mode_param", room.name, letter, word or "*")
  end
end

-- Returns false when nothing more of the command is to be done.
local function change(session, room, letter, is_on, word)
  local needs = NEEDS_WORD[letter] or letter == "l" and is_on
  if letter == "b" and not word then
    tell_bans(session, room)
    return true
  elseif needs and not word and not (letter == "k" and not is_on) then
    session:lacks "MODE"
    return true
  end
  local ok, _, _, reason = session.member:set_mode(room.name, letter, is_on, word)
  if not ok then
    refuse(session, room, letter, word, reason)
  end
  return ok or (reason ~= "not_operator" and reason ~= "absent")
end

local function change_room(session, room, params)
  local is_on, position, count = true, 3, 0
  for letter in params[2]:gmatch(utf8.charpattern) do
    if letter == "+" or letter == "-" then
      is_on = letter == "+"
    else
      local word
      if NEEDS_WORD[letter] or letter == "l" and is_on then
        word = params[position]
        position, count = position + 1, count + 1
      end
      count = word and count or count + 1
      if count > 2 * CHANGES_MOST or not change(session, room, letter, is_on, word) then
        return
      end
    end
  end
end

local function run_own(session, params)
  if session.hall:member(params[1]) ~= session.member then
    return session:reply(session.hall:member(params[1]) and "users_dont_match" or "no_such_nick", params[1])
  elseif not params[2] then
    return session:reply("umode", "+")
  end
  for letter in params[2]:gmatch "[^+-]" do
    if not OWN_MODES[letter] then
      return session:reply "unknown_umode"
    end
  end
end

function mode.run(session, params)
  if not session:has("MODE", params, 1) then
    return
  elseif not params[1]:find "^#" then
    return run_own(session, params)
  end
  local room = session.hall:room(params[1])
  if not room or not room:is_visible(session.member) then
    session:reply("no_such_channel", params[1])
  elseif not params[2] then
    tell_modes(session, room)
  else
    change_room(session, room, params)
  end
end

return mode
