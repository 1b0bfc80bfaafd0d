package redis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"coup/cluster"
	"coup/harness"
)

var _ cluster.Cache = (*connection)(nil)

// An entry of the cache is a key with a time to live, and the lease to fill it another, which holds the
// token of who has it.
const leased = ":lease"

// CacheGet implements cluster.Cache. The entry and the lease are looked at in one script: an entry that was filled
// in between would be there beside the lease.
func (c *connection) CacheGet(ctx context.Context, key string, lease time.Duration) (got cluster.Cached, err error) {
	token := rand.Int64()
	said, err := c.script(ctx, `local entry = redis.call('GET', KEYS[1])
if entry then return 'entry ' .. entry end
if redis.call('SET', KEYS[1] .. '`+leased+`', ARGV[1], 'NX', 'PX', ARGV[2]) then return 'lease' end
return 'nothing'`, "cache:"+key, token, lease.Milliseconds())
	if err != nil {
		return got, err
	}
	entry, found := strings.CutPrefix(fmt.Sprint(said), "entry ")
	switch {
	case found:
		v, err := strconv.ParseInt(entry, 10, 64)
		return cluster.Cached{Value: &v}, err
	case said == "lease":
		got.Token = &token
	}
	return got, nil
}

var errNoLease = fmt.Errorf("%w: this client does not have the lease to fill the entry", harness.ErrFail)

// CacheFill implements cluster.Cache.
func (c *connection) CacheFill(ctx context.Context, key string, token, v int64, ttl time.Duration) error {
	done, err := c.script(ctx, `local lease = KEYS[1] .. '`+leased+`'
if redis.call('GET', lease) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return redis.call('DEL', lease)`, "cache:"+key, token, v, ttl.Milliseconds())
	if err == nil && done != int64(1) {
		err = errNoLease
	}
	return err
}

// CacheInvalidate implements cluster.Cache.
func (c *connection) CacheInvalidate(ctx context.Context, key string) error {
	_, err := perform(ctx, c, true, func(r redis.Cmdable) result[int64] {
		return r.Del(ctx, "cache:"+key, "cache:"+key+leased)
	})
	return err
}
