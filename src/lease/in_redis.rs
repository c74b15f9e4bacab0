//! The lease as a key in Redis, with a token as its value.
//!
//! A lease key that is not there proves little: it may have run out, or Redis may have been started anew and empty, or from
//! an old copy, while the leader goes on until its own clock tells it to stop. So a second key without an end notes which run
//! of Redis kept the lease, and until when. Only the same run can tell that the former lease has ended; otherwise the new
//! leader waits as long as any lease can last.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ErrorKind, RedisError, ServerErrorKind, TlsCertificates};

use super::LEASE;
use super::look::Look;
use super::store::{Attempt, Error, Former, Renewal, Store};
use crate::config::RedisConfig;

/// How long a connection, and an answer, may take.
const TIMEOUT: Duration = Duration::from_millis(1500);

/// KEYS: lease, released, kept. ARGV: token, life in ms. Answers what became of it, and a time in ms.
const ACQUIRE: &str = r"
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return {'held', 0} end
local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and info:match('run_id:(%x+)')
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local released = redis.call('DEL', KEYS[2])
local before = redis.call('GET', KEYS[3])
if run then redis.call('SET', KEYS[3], run .. ' ' .. string.format('%d', now + ARGV[2])) end
if released == 1 then return {'released', 0} end
if not run or not before then return {'unknown', 0} end
local former, ending = before:match('^(%x+) (%d+)$')
if former ~= run then return {'unknown', 0} end
return {'ended', math.max(0, tonumber(ending) - now)}
";

/// KEYS: lease, kept. ARGV: token, life in ms. Answers 1 where the lease was ours.
const RENEW: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and info:match('run_id:(%x+)')
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
if run then redis.call('SET', KEYS[2], run .. ' ' .. string.format('%d', now + ARGV[2])) end
return 1
";

/// KEYS: lease, released. ARGV: token, life of the mark in ms.
const RELEASE: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return 1
";

/// KEYS: lease. Answers its token, empty where there is none, and when it ends, in ms.
const LOOK: &str = r"
local token = redis.call('GET', KEYS[1])
if not token then return {'', 0} end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
return {token, now + redis.call('PTTL', KEYS[1])}
";

/// A key that ends so much later than before was renewed in between; less is the rounding of clocks.
const RENEWED: u64 = 500;

/// The lease of one installation in Redis.
pub struct InRedis {
    client: redis::Client,
    connection: Option<MultiplexedConnection>,
    /// Where the lease is; beside it are `:released`, for a moment after an orderly end, and `:kept`.
    key: String,
    /// What the key holds while the lease is ours. New for each try, so that an old copy of the key is nobody's.
    token: String,
}

impl InRedis {
    /// The lease of the installation `instance`; connects when first used.
    ///
    /// # Errors
    /// A URL or certificates that cannot be used.
    pub fn new(config: &RedisConfig, instance: &str) -> Result<Self, Error> {
        let url = config.url.expose();
        let certificates = || TlsCertificates { client_tls: None, root_cert: config.ca_bundle.clone() };
        let client = if config.ca_bundle.is_some() && url.starts_with("rediss://") {
            redis::Client::build_with_tls(url, certificates())
        } else {
            redis::Client::open(url)
        };
        let client = client.map_err(|source| Error::Redis { address: "REDIS_URL".to_owned(), source })?;
        // In braces is what a cluster chooses the node by: all keys of an installation are on one.
        Ok(Self { client, connection: None, key: format!("minio-manager:{{{instance}}}:leader"), token: String::new() })
    }

    fn released(&self) -> String {
        format!("{}:released", self.key)
    }

    fn kept(&self) -> String {
        format!("{}:kept", self.key)
    }

    /// Runs a script on a connection that is made anew after every failure.
    async fn run<T: redis::FromRedisValue>(
        &mut self,
        script: &str,
        keys: &[String],
        args: &[&str],
    ) -> Result<T, Error> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await.map_err(|source| self.error(source))?,
        };
        let mut call = redis::cmd("EVAL");
        call.arg(script).arg(keys.len()).arg(keys).arg(args);
        let answer = call.query_async(&mut connection).await.map_err(|source| self.error(source))?;
        self.connection = Some(connection);
        Ok(answer)
    }

    async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(TIMEOUT)).set_response_timeout(Some(TIMEOUT));
        self.client.get_multiplexed_async_connection_with_config(&config).await
    }

    fn error(&self, source: RedisError) -> Error {
        let address = self.client.get_connection_info().addr().to_string();
        let code = source.code().unwrap_or_default();
        let refused = source.kind() == ErrorKind::AuthenticationFailed
            || source.kind() == ErrorKind::Server(ServerErrorKind::NoPerm)
            || ["WRONGPASS", "NOAUTH", "NOPERM"].contains(&code);
        if refused { Error::RedisCredentials { address, source } } else { Error::Redis { address, source } }
    }
}

impl Look for InRedis {
    type Sight = (String, u64);

    async fn look(&mut self) -> Result<Option<Self::Sight>, Error> {
        let keys = [self.key.clone()];
        let (token, ends): Self::Sight = self.run(LOOK, &keys, &[]).await?;
        Ok((!token.is_empty()).then_some((token, ends)))
    }

    fn is_renewed(before: &Self::Sight, after: &Self::Sight) -> bool {
        before.0 != after.0 || after.1 > before.1 + RENEWED
    }

    fn life(_: &Self::Sight) -> Duration {
        LEASE
    }
}

impl Store for InRedis {
    async fn acquire(&mut self) -> Result<Attempt, Error> {
        self.token = hex::encode(rand::random::<[u8; 16]>());
        let keys = [self.key.clone(), self.released(), self.kept()];
        let (token, life) = (self.token.clone(), millis(LEASE));
        let (became, left): (String, u64) = self.run(ACQUIRE, &keys, &[&token, &life]).await?;
        Ok(match became.as_str() {
            "held" => Attempt::Held,
            "released" => Attempt::Acquired(Former::Released),
            "ended" => Attempt::Acquired(Former::EndsWithin(Duration::from_millis(left).min(LEASE))),
            _ => Attempt::Acquired(Former::Unknown),
        })
    }

    async fn renew(&mut self) -> Result<Renewal, Error> {
        let (keys, token, life) = ([self.key.clone(), self.kept()], self.token.clone(), millis(LEASE));
        let kept: u8 = self.run(RENEW, &keys, &[&token, &life]).await?;
        Ok(if kept == 1 { Renewal::Kept } else { Renewal::Lost })
    }

    async fn release(&mut self) -> Result<(), Error> {
        let (keys, token, life) = ([self.key.clone(), self.released()], self.token.clone(), millis(LEASE));
        let _released: u8 = self.run(RELEASE, &keys, &[&token, &life]).await?;
        Ok(())
    }
}

fn millis(time: Duration) -> String {
    time.as_millis().to_string()
}
