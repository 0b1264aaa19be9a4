"""The ledger's transitions, one Lua script each: a crash falls before one or after it, never inside.

The clock is Redis' own, so that hosts whose clocks differ agree on when a lease ends. In all scripts KEYS[1]
is a mention's record, KEYS[2] the open mentions, scored by when somebody has to look after them, and
KEYS[3] how many mentions ended how. ARGV[1] is the mention's key.
"""

_NOW = """
local function now()
  local time = redis.call('TIME')
  return time[1] + time[2] / 1000000
end
"""

# What is over keeps its outcome and its times; a failed mention that nobody was told of can be retried.
# Redis keeps a hash that ever held a long value, as a mention is, in three times the room of a short one: the
# record is written anew without it. The author's index stays as long as the last record in it.
_CLOSE = """
local function close(state, retention)
  redis.call('HSET', KEYS[1], 'state', state, state, now())
  redis.call('HDEL', KEYS[1], 'verdict', 'lease', 'deadline', 'ends')
  if state ~= 'failed' or redis.call('HEXISTS', KEYS[1], 'reply_id') == 1 then
    redis.call('HDEL', KEYS[1], 'mention')
  end
  local kept = redis.call('HGETALL', KEYS[1])
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], unpack(kept))
  redis.call('EXPIRE', KEYS[1], retention)
  local author = string.gsub(KEYS[2], 'open$', 'author:') .. redis.call('HGET', KEYS[1], 'author')
  redis.call('SADD', author, ARGV[1])
  redis.call('EXPIRE', author, retention)
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('HINCRBY', KEYS[3], state, 1)
end
"""

# Mentions and the network's cursor in one step: what the cursor has passed is in the ledger.
# KEYS: -, open, counts, cursor, then a record and its author's mentions each.
# ARGV: cursor or '', grace, promise, retention, then key, mention, reason to skip or '', author each.
INGEST = (
    _NOW
    + """
local fresh = {}
for i = 0, (#ARGV - 4) / 4 - 1 do
  local record, author = KEYS[5 + 2 * i], KEYS[6 + 2 * i]
  local key, mention, skip, hash = unpack(ARGV, 5 + 4 * i, 8 + 4 * i)
  if redis.call('EXISTS', record) == 0 then
    local time = now()
    if skip == '' then
      redis.call('HSET', record, 'state', 'new', 'new', time, 'deadline', time + ARGV[3],
                 'mention', mention, 'author', hash)
      redis.call('ZADD', KEYS[2], time + ARGV[2], key)
    else
      redis.call('HSET', record, 'state', 'skipped', 'skipped', time, 'reason', skip, 'author', hash)
      redis.call('EXPIRE', record, ARGV[4])
      redis.call('HINCRBY', KEYS[3], 'skipped', 1)
    end
    redis.call('SADD', author, key)
    redis.call('EXPIRE', author, ARGV[4])
    fresh[#fresh + 1] = key
  end
end
if ARGV[1] ~= '' then redis.call('SET', KEYS[4], ARGV[1]) end
return fresh
"""
)

# Take a mention on, under a new token. ARGV: key, state to enter, lease, then the states to leave from.
# The record as it was before comes back, so that its holder knows what may have happened already.
CLAIM = (
    _NOW
    + """
local state = redis.call('HGET', KEYS[1], 'state')
local fits = false
for i = 4, #ARGV do fits = fits or ARGV[i] == state end
local lease = tonumber(redis.call('HGET', KEYS[1], 'lease') or 0)
if not fits or lease > now() then return false end
local before = redis.call('HGETALL', KEYS[1])
local token = redis.call('HINCRBY', KEYS[1], 'token', 1)
local tries = redis.call('HINCRBY', KEYS[1], 'tries_' .. ARGV[2], 1)
local time = now()
redis.call('HSET', KEYS[1], 'state', ARGV[2], ARGV[2], time, 'lease', time + ARGV[3])
redis.call('ZADD', KEYS[2], time + ARGV[3], ARGV[1])
return {token, tries, before}
"""
)

# ARGV: key, token, lease.
RENEW = (
    _NOW
    + """
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[2] then return 0 end
if redis.call('HEXISTS', KEYS[1], 'lease') == 0 then return 0 end
local until_ = now() + ARGV[3]
redis.call('HSET', KEYS[1], 'lease', until_)
redis.call('ZADD', KEYS[2], until_, ARGV[1])
return 1
"""
)

# The holder of the token is done with its step. ARGV: key, token ('' turns fencing off), state to leave,
# state to enter, 'open' and seconds until somebody has to look, or 'close' and retention, then fields.
SETTLE = (
    _NOW
    + _CLOSE
    + """
if ARGV[2] ~= '' and redis.call('HGET', KEYS[1], 'token') ~= ARGV[2] then return 0 end
if redis.call('HGET', KEYS[1], 'state') ~= ARGV[3] then return 0 end
if #ARGV > 6 then redis.call('HSET', KEYS[1], unpack(ARGV, 7)) end
if ARGV[5] == 'close' then
  close(ARGV[4], ARGV[6])
else
  redis.call('HDEL', KEYS[1], 'lease')
  if ARGV[3] ~= ARGV[4] then redis.call('HSET', KEYS[1], 'state', ARGV[4], ARGV[4], now()) end
  redis.call('ZADD', KEYS[2], now() + ARGV[6], ARGV[1])
end
return 1
"""
)

# Look after a mention that is overdue: void its token, and say which queue it belongs in ('' for none).
# ARGV: key, grace, tries a judge gets, apology or '' for silence when late, apology, retention, and the
# queue in which a job for it still waits, or ''.
RESCUE = (
    _NOW
    + _CLOSE
    + """
local state = redis.call('HGET', KEYS[1], 'state')
if not state then redis.call('ZREM', KEYS[2], ARGV[1]) return '' end
local due = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not due or tonumber(due) > now() then return '' end
local function enter(next)
  redis.call('HINCRBY', KEYS[1], 'token', 1)
  redis.call('HDEL', KEYS[1], 'lease')
  if next ~= state then redis.call('HSET', KEYS[1], 'state', next, next, now()) end
  redis.call('ZADD', KEYS[2], now() + ARGV[2], ARGV[1])
end
local function unless_it_waits(queue)
  return queue == ARGV[7] and '' or queue
end
if state == 'new' or state == 'judging' then
  local late = now() > tonumber(redis.call('HGET', KEYS[1], 'deadline'))
  local tries = tonumber(redis.call('HGET', KEYS[1], 'tries_judging') or 0)
  if state == 'judging' and tries >= tonumber(ARGV[3]) then
    redis.call('HSET', KEYS[1], 'verdict', ARGV[5], 'ends', 'failed',
               'reason', 'its worker ended ' .. tries .. ' times')
    enter('ready')
    return 'replies'
  elseif late and ARGV[4] == '' then
    redis.call('HSET', KEYS[1], 'reason', 'not judged in time')
    redis.call('HINCRBY', KEYS[1], 'token', 1)
    close('expired', ARGV[6])
    return ''
  elseif late then
    redis.call('HSET', KEYS[1], 'verdict', ARGV[4], 'ends', 'expired', 'reason', 'not judged in time')
    enter('ready')
    return 'replies'
  end
  enter('new')
  return unless_it_waits('photos')
end
-- ready; or sending with an outcome that nobody knows, which the next holder of the token has to find out.
enter(state)
return unless_it_waits('replies')
"""
)

# Give a failed mention another chance, unless its author has been answered. ARGV: key, grace, promise.
RETRY = (
    _NOW
    + """
if redis.call('HGET', KEYS[1], 'state') ~= 'failed' or redis.call('HEXISTS', KEYS[1], 'mention') == 0 then
  return 0
end
redis.call('PERSIST', KEYS[1])
redis.call('HDEL', KEYS[1], 'tries_judging', 'tries_sending', 'reason')
local time = now()
redis.call('HSET', KEYS[1], 'state', 'new', 'new', time, 'deadline', time + ARGV[3])
redis.call('ZADD', KEYS[2], time + ARGV[2], ARGV[1])
redis.call('HINCRBY', KEYS[3], 'failed', -1)
return 1
"""
)
