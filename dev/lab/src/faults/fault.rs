//! The faults: how each begins and ends.

use std::time::Duration;

use rustix::process::Signal;
use shared::error::Source;

use super::dynamodb::Trouble;
use super::harness::Harness;
use super::proxy::Wire;
use super::tasks::Tasks;

/// The service that a fault affects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// The cache. No request may fail.
    Redis,
    /// The store. A request that the cache can't serve may be refused.
    DynamoDb,
}

/// A fault of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Of the connections to Redis.
    RedisWire(Wire),
    /// Redis is stopped (SIGSTOP).
    RedisFrozen,
    /// Redis is killed. An empty one replaces it.
    RedisKilled,
    /// Redis is out of memory and evicts nothing.
    RedisFull,
    /// Redis has become a read-only replica.
    RedisReplica,
    /// Our keys hold lists.
    RedisWrongType,
    /// Redis is emptied again and again.
    RedisFlushed,
    /// Redis requires a password that the functions don't have.
    RedisPassword,
    /// Of the connections to DynamoDB.
    DynamoDbWire(Wire),
    /// Of this percentage of the requests to DynamoDB.
    DynamoDb(Trouble, u64),
}

/// Longer than a call of Redis may take.
const TOO_LONG: Duration = Duration::from_millis(80);
/// A delay that a call of Redis may take.
const LONG: Duration = Duration::from_millis(25);

impl Fault {
    /// All faults, each with whether the short form has it.
    pub const ALL: [(Self, bool); 23] = [
        (Self::RedisWire(Wire::Refused), false),
        (Self::RedisWire(Wire::Silent), true),
        (Self::RedisWire(Wire::Delayed(TOO_LONG)), false),
        (Self::RedisWire(Wire::Delayed(LONG)), true),
        (Self::RedisWire(Wire::Cut), false),
        (Self::RedisWire(Wire::Garbled), true),
        (Self::RedisWire(Wire::Dripping), false),
        (Self::RedisFrozen, false),
        (Self::RedisKilled, true),
        (Self::RedisFull, true),
        (Self::RedisReplica, true),
        (Self::RedisWrongType, false),
        (Self::RedisFlushed, false),
        (Self::RedisPassword, false),
        (Self::DynamoDb(Trouble::Throttled, 40), false),
        (Self::DynamoDb(Trouble::Throttled, 100), true),
        (Self::DynamoDb(Trouble::Failed, 40), false),
        (Self::DynamoDb(Trouble::FailedAfterwards, 40), true),
        (Self::DynamoDb(Trouble::Silence, 20), false),
        (Self::DynamoDb(Trouble::Conflict, 70), true),
        (Self::DynamoDbWire(Wire::Refused), true),
        (Self::DynamoDbWire(Wire::Silent), false),
        (Self::DynamoDbWire(Wire::Cut), false),
    ];

    /// The service that the fault affects.
    pub fn service(self) -> Service {
        match self {
            Self::DynamoDbWire(_) | Self::DynamoDb(..) => Service::DynamoDb,
            _ => Service::Redis,
        }
    }

    /// Its name in the table.
    pub fn name(self) -> String {
        let wire = |wire| match wire {
            Wire::Whole => "nothing".to_owned(),
            Wire::Refused => "refuses connections".to_owned(),
            Wire::Silent => "accepts requests and never answers".to_owned(),
            Wire::Delayed(delay) => format!("answers {} ms late", delay.as_millis()),
            Wire::Cut => "connections cut within an answer".to_owned(),
            Wire::Garbled => "answers garbage".to_owned(),
            Wire::Dripping => "answers byte by byte, 20 ms apart".to_owned(),
        };
        let trouble = |trouble| match trouble {
            Trouble::Throttled => "throttled",
            Trouble::Failed => "answered 500",
            Trouble::FailedAfterwards => "done, and answered 500",
            Trouble::Silence => "not answered",
            Trouble::Conflict => "of writes lose a race",
        };
        match self {
            Self::RedisWire(how) => format!("Redis: {}", wire(how)),
            Self::RedisFrozen => "Redis: stopped (SIGSTOP)".to_owned(),
            Self::RedisKilled => "Redis: killed, replaced by an empty one".to_owned(),
            Self::RedisFull => "Redis: full, evicts nothing".to_owned(),
            Self::RedisReplica => "Redis: a read-only replica".to_owned(),
            Self::RedisWrongType => "Redis: lists under our keys".to_owned(),
            Self::RedisFlushed => "Redis: emptied 20 times a second".to_owned(),
            Self::RedisPassword => "Redis: password changed".to_owned(),
            Self::DynamoDbWire(how) => format!("DynamoDB: {}", wire(how)),
            Self::DynamoDb(what, percent) => format!("DynamoDB: {percent} % {}", trouble(what)),
        }
    }

    /// Begins the fault.
    ///
    /// # Errors
    ///
    /// If a service can't be controlled.
    pub fn begin(self, harness: &Harness) -> Result<(), Source> {
        match self {
            Self::RedisWire(wire) => harness.redis_wire.set(wire),
            Self::RedisFrozen => harness.signal_redis(Signal::STOP)?,
            Self::RedisKilled => harness.kill_redis(),
            Self::RedisFull => {
                configure(harness, "maxmemory-policy", "noeviction")?;
                configure(harness, "maxmemory", "1")?;
            }
            // Its master does not exist, so it keeps its data.
            Self::RedisReplica => replicate(harness, "127.0.0.1", "1")?,
            Self::RedisPassword => {
                configure(harness, "requirepass", "changed")?;
                // Authenticated connections stay valid until they end.
                let mut redis = harness.redis()?;
                redis::cmd("AUTH").arg("changed").exec(&mut redis)?;
                let all = ["KILL", "TYPE", "normal", "SKIPME", "yes"];
                redis::cmd("CLIENT").arg(&all).exec(&mut redis)?;
            }
            Self::RedisWrongType | Self::RedisFlushed => {}
            Self::DynamoDbWire(wire) => harness.dynamodb_wire.set(wire),
            Self::DynamoDb(trouble, percent) => {
                harness.dynamodb_proxy.set(Some((trouble, percent)))
            }
        }
        Ok(())
    }

    /// Repeats the step that some faults need again and again while they last.
    ///
    /// # Errors
    ///
    /// If a service can't be controlled.
    pub fn repeat(self, harness: &Harness, tasks: &Tasks) -> Result<(), Source> {
        match self {
            Self::RedisFlushed => redis::cmd("FLUSHALL").exec(&mut harness.redis()?)?,
            Self::RedisWrongType => {
                let mut redis = harness.redis()?;
                let keys = tasks.counted().map(|task_id| format!("run:{task_id}"));
                for key in keys.chain(["{tasks}:generation".to_owned()]) {
                    let mut replace = redis::pipe();
                    replace.atomic().del(&key).rpush(&key, "rubbish");
                    replace.exec(&mut redis)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Ends the fault.
    ///
    /// # Errors
    ///
    /// If a service can't be controlled.
    pub fn end(self, harness: &Harness) -> Result<(), Source> {
        match self {
            Self::RedisWire(_) => harness.redis_wire.set(Wire::Whole),
            Self::RedisFrozen => harness.signal_redis(Signal::CONT)?,
            Self::RedisKilled => harness.start_redis()?,
            Self::RedisFull => {
                configure(harness, "maxmemory", "67108864")?;
                configure(harness, "maxmemory-policy", "allkeys-lru")?;
            }
            Self::RedisReplica => replicate(harness, "NO", "ONE")?,
            Self::RedisPassword => {
                let mut redis = harness.redis()?;
                redis::cmd("AUTH").arg("changed").exec(&mut redis)?;
                let open = ["SET", "requirepass", ""];
                redis::cmd("CONFIG").arg(&open).exec(&mut redis)?;
            }
            Self::RedisWrongType | Self::RedisFlushed => {}
            Self::DynamoDbWire(_) => harness.dynamodb_wire.set(Wire::Whole),
            Self::DynamoDb(..) => harness.dynamodb_proxy.set(None),
        }
        Ok(())
    }
}

fn configure(harness: &Harness, name: &str, value: &str) -> Result<(), Source> {
    let mut redis = harness.redis()?;
    Ok(redis::cmd("CONFIG")
        .arg(&["SET", name, value])
        .exec(&mut redis)?)
}

fn replicate(harness: &Harness, host: &str, port: &str) -> Result<(), Source> {
    let mut redis = harness.redis()?;
    Ok(redis::cmd("REPLICAOF")
        .arg(&[host, port])
        .exec(&mut redis)?)
}
