package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"pargate/pushstore"
	"pargate/test/redisserver"
)

// made runs secrets.sh in a folder of its own.
func made(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	script, err := os.ReadFile("../../deploy/secrets.sh")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "secrets.sh")
	if err := os.WriteFile(path, script, 0o700); err != nil {
		t.Fatal(err)
	}
	if output, err := exec.CommandContext(t.Context(), "sh", path).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	return dir
}

func secret(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "secrets", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestRedisIsSetUpAsPargateNeedsIt starts the system's Redis with the configuration and the accounts of deploy/.
func TestRedisIsSetUpAsPargateNeedsIt(t *testing.T) {
	t.Parallel()
	configured, err := os.ReadFile(filepath.Join(compose, "redis.conf"))
	if err != nil {
		t.Fatal(err)
	}
	mapped := read(t, "redis.yaml").config("redis").Data["redis.conf"]
	for name, text := range map[string]string{"compose": string(configured), "kubernetes": mapped} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := made(t)
			server := redisserver.Start(t, options(t, text, filepath.Join(dir, "secrets", "redis_acl"))...)

			anybody := redis.NewClient(&redis.Options{Addr: server.Addr, DisableIdentity: true, Protocol: 2})
			defer anybody.Close()
			if err := anybody.Ping(t.Context()).Err(); err != nil {
				t.Errorf("the health check: %v", err)
			}
			for _, command := range [][]any{{"get", "pargate:{a}:push"}, {"config", "get", "maxmemory"}, {"flushall"}, {"acl", "list"}} {
				if err := anybody.Do(t.Context(), command...).Err(); err == nil || !strings.HasPrefix(err.Error(), "NOPERM") {
					t.Errorf("somebody without a password may %v: %v", command, err)
				}
			}

			client, err := pushstore.DialRedis(pushstore.RedisConfig{URL: server.URL(), Username: "pargate", Password: secret(t, dir, "redis_password")})
			if err != nil {
				t.Fatal(err)
			}
			for _, command := range [][]any{{"get", "other:key"}, {"flushall"}, {"keys", "*"}} {
				if err := client.Do(t.Context(), command...).Err(); err == nil || !strings.HasPrefix(err.Error(), "NOPERM") {
					t.Errorf("pargate may %v: %v", command, err)
				}
			}
			store := pushstore.NewRedis(client, pushstore.RedisOptions{})
			defer store.Close()
			checkStore(t, store)
		})
	}
}

// checkStore has one login go through it, and what else pargate asks of Redis.
func checkStore(t *testing.T, store *pushstore.Redis) {
	t.Helper()
	ctx := t.Context()
	party := pushstore.Party{Issuer: "https://login.example.com/dex", ClientID: "web"}
	browser := []byte("secret of a browser")
	ref, err := store.Put(ctx, party, pushstore.Request{Query: "response_type=code", RedirectURI: "https://app.example.com/cb"}, time.Minute)
	if err != nil {
		t.Fatalf("a push: %v", err)
	}
	flow, err := store.Open(ctx, party, ref, pushstore.OwnerOf(browser))
	if err != nil {
		t.Fatalf("its opening: %v", err)
	}
	if _, err := store.Continue(ctx, flow, browser, "prompt=none"); err != nil {
		t.Errorf("a further step: %v", err)
	}
	if won, err := store.Finish(ctx, flow, "response"); !won || err != nil {
		t.Errorf("its end: %v %v", won, err)
	}
	if first, err := store.Mark(ctx, party.ClientID, "jti", time.Minute); !first || err != nil {
		t.Errorf("a mark: %v %v", first, err)
	}
	info, err := store.Describe(ctx)
	if err != nil || info.MaxMemoryPolicy != "noeviction" {
		t.Errorf("what it says of itself: %+v %v", info, err)
	}
}

// options are the lines of a redis.conf as arguments, with the accounts in a file of ours.
func options(t *testing.T, text, accounts string) (args []string) {
	t.Helper()
	found := map[string]bool{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, _ := strings.Cut(line, " ")
		found[line] = true
		if name == "aclfile" {
			value = accounts
		}
		args = append(args, "--"+name, strings.Trim(value, `"`))
	}
	for _, line := range []string{"maxmemory-policy noeviction", `save ""`, "appendonly no"} { // docs/redis.md
		if !found[line] {
			t.Errorf("there is no line %q", line)
		}
	}
	return args
}

// What secrets.sh has made stays when it is run again, and the accounts follow the password.
func TestSecretsAreMadeOnce(t *testing.T) {
	t.Parallel()
	dir := made(t)
	names := []string{"client_secret", "redis_password", "redis_acl"}
	before := map[string]string{}
	for _, name := range names {
		before[name] = secret(t, dir, name)
	}
	again := func() {
		t.Helper()
		if output, err := exec.CommandContext(t.Context(), "sh", filepath.Join(dir, "secrets.sh")).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, output)
		}
	}
	again()
	for _, name := range names {
		if secret(t, dir, name) != before[name] {
			t.Errorf("%s is another one now", name)
		}
	}
	if len(before["client_secret"]) != 64 || before["client_secret"] == before["redis_password"] {
		t.Errorf("%d bytes, or twice the same", len(before["client_secret"]))
	}
	if err := os.Remove(filepath.Join(dir, "secrets", "redis_password")); err != nil {
		t.Fatal(err)
	}
	again()
	if password := secret(t, dir, "redis_password"); password == before["redis_password"] || !strings.Contains(secret(t, dir, "redis_acl"), ">"+password+" ") {
		t.Error("the accounts do not have the new password")
	}
	if info, err := os.Stat(filepath.Join(dir, "secrets")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("others may look into the folder: %v %v", info.Mode(), err)
	}
}

func TestTheRulesAreTheDocumentedOnes(t *testing.T) {
	t.Parallel()
	dir := made(t)
	text, err := os.ReadFile("../../docs/redis.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rules, ok := strings.Cut(string(text), "    ACL SETUSER pargate on >PASSWORD ")
	if rules, _, _ = strings.Cut(rules, "\n"); !ok {
		t.Fatal("docs/redis.md has no rule")
	}
	if want := "user pargate on >" + secret(t, dir, "redis_password") + " " + rules + " +info +time\n"; !strings.HasSuffix(secret(t, dir, "redis_acl"), want) {
		t.Errorf("the account is not\n%s", want)
	}
}
