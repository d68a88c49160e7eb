--- The backend "rediss:", which is that of Redis over TLS. Not for scripts.
return require "moonwire.store.redis"
