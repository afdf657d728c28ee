package main

import (
	"strings"
	"testing"

	"pargate/pushstore/storetest"
	"pargate/test/harness"
	"pargate/test/redisserver"
)

func TestCheckSaysWhatRedisIs(t *testing.T) {
	t.Parallel()
	_, environ := standIn(t, nil, "")
	environ = append(environ, "CLIENTS_FILE="+writeFile(t, "[]"))
	replicated := redisserver.StartReplicated(t, redisserver.ReplicatedOptions{Sentinels: 1})
	cluster := redisserver.StartCluster(t, 3, 0)
	for _, c := range []struct {
		name, url string
		set       []string
		want      map[findingName]string // level and a part of the line
	}{
		{"Sentinel", replicated.URL(), []string{"REDIS_WAIT_REPLICAS=1"}, map[findingName]string{
			aboutRedisTopology: "ok sentinel at " + replicated.Sentinels[0].Addr, aboutRedisReplicas: "ok 1 master, each with at least 1",
			aboutRedisServer: "ok redis ", aboutRedisClock: "ok agrees", aboutRedisEviction: "ok noeviction", aboutRedisPersistence: "ok nothing has been written"}},
		{"too few replicas", replicated.URL(), []string{"REDIS_WAIT_REPLICAS=2"}, map[findingName]string{aboutRedisReplicas: "fail fewer replicas than REDIS_WAIT_REPLICAS"}},
		{"replicas that are not waited for", replicated.URL(), nil, map[findingName]string{aboutRedisReplicas: "warn set REDIS_WAIT_REPLICAS=1"}},
		{"a cluster", cluster.URL(), nil, map[findingName]string{aboutRedisTopology: "ok cluster at ", aboutRedisReplicas: "ok 3 masters"}},
		{"eviction", storetest.StartRedis(t, "--maxmemory-policy", "allkeys-lru").URL(), nil, map[findingName]string{
			aboutRedisTopology: "ok standalone at 127.0.0.1:", aboutRedisEviction: "warn maxmemory-policy to noeviction"}},
		{"a file", storetest.StartRedis(t, "--appendonly", "yes").URL(), nil, map[findingName]string{aboutRedisPersistence: "warn appendfsync always"}},
		{"a narrow user", storetest.StartRedis(t, "--user", "narrow", "on", ">s3cret", "~pargate:*", "+get", "+set", "+mget", "+pttl", "+pexpire", "+rename", "+eval", "+evalsha").URL(),
			[]string{"REDIS_USERNAME=narrow", "REDIS_PASSWORD=s3cret"}, map[findingName]string{
				aboutStore: "ok store answers", aboutRedisServer: "warn may not ask", aboutRedisClock: "ok may not ask for its time", aboutRedisEviction: "", aboutRedisReplicas: ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, stdout := checkJSON(t, append(append(c.set, "REDIS_URL="+c.url), environ...), "-connect")
			for name, want := range c.want {
				level, text, _ := strings.Cut(want, " ")
				if got.level(name) != level || !strings.Contains(got.text(name), text) {
					t.Errorf("%s: want %s in\n%s", name, want, stdout)
				}
			}
			if strings.Contains(stdout, "s3cret") {
				t.Errorf("a password is told: %s", stdout)
			}
		})
	}
}

func TestCheckWarnsOfSnapshots(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	_, environ := standIn(t, nil, "")
	environ = append(environ, "CLIENTS_FILE="+writeFile(t, "[]"), "REDIS_URL="+server.URL())
	admin := redisAdmin(t, server, "")
	harness.WaitFor(t, "the warning", func() bool { // the first seconds are those of the start
		if err := admin.Save(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		got, _ := checkJSON(t, environ, "-connect")
		return got.level(aboutRedisPersistence) == "warn" && strings.Contains(got.text(aboutRedisPersistence), "snapshots")
	})
}

func TestVersionsAreCompared(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{"6.0.20": true, "5.9": true, "6.2.0": false, "7.0.15": false, "10.0": false, "unstable": false, "": false} {
		if got := olderThan(version, 6, 2); got != want {
			t.Errorf("%s: %t", version, got)
		}
	}
}
