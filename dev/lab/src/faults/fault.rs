//! The faults, by name: how each begins and ends.

use std::time::Duration;

use rustix::process::Signal;
use shared::error::Source;

use super::dynamodb::Trouble;
use super::proxy::Wire;
use super::truth::Truth;
use super::world::World;

/// Which service is in trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// The cache: nobody may notice.
    Redis,
    /// The store: what the cache does not have may be refused.
    DynamoDb,
}

/// What happens to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// To connections to Redis.
    RedisWire(Wire),
    /// Redis is stopped in its tracks.
    RedisFrozen,
    /// Redis is killed; another one takes its place.
    RedisKilled,
    /// Redis has no room left, and gives up nothing to make some.
    RedisFull,
    /// Redis has become a replica that is not written to.
    RedisReplica,
    /// Under our keys are lists.
    RedisWrongType,
    /// Redis forgets everything, again and again.
    RedisFlushed,
    /// Redis wants a password that we don't have.
    RedisPassword,
    /// To connections to DynamoDB.
    DynamoDbWire(Wire),
    /// To so many of a hundred requests to DynamoDB.
    DynamoDb(Trouble, u64),
}

/// A delay that is longer than what a call of Redis may take.
const TOO_LONG: Duration = Duration::from_millis(80);
/// A delay that one call may take.
const LONG: Duration = Duration::from_millis(25);

impl Fault {
    /// All of them, with whether they are in the short form.
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

    /// Which service is in trouble.
    pub fn service(self) -> Service {
        match self {
            Self::DynamoDbWire(_) | Self::DynamoDb(..) => Service::DynamoDb,
            _ => Service::Redis,
        }
    }

    /// In words.
    pub fn name(self) -> String {
        let wire = |wire| match wire {
            Wire::Whole => "nothing".to_owned(),
            Wire::Refused => "refuses connections".to_owned(),
            Wire::Silent => "takes all and says nothing".to_owned(),
            Wire::Delayed(delay) => format!("answers {} ms late", delay.as_millis()),
            Wire::Cut => "connections cut within an answer".to_owned(),
            Wire::Garbled => "answers garbage".to_owned(),
            Wire::Dripping => "answers drip, a byte each 20 ms".to_owned(),
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
            Self::RedisKilled => "Redis: killed, back empty".to_owned(),
            Self::RedisFull => "Redis: full, evicts nothing".to_owned(),
            Self::RedisReplica => "Redis: a read-only replica".to_owned(),
            Self::RedisWrongType => "Redis: lists under our keys".to_owned(),
            Self::RedisFlushed => "Redis: emptied 20 times a second".to_owned(),
            Self::RedisPassword => "Redis: password changed".to_owned(),
            Self::DynamoDbWire(how) => format!("DynamoDB: {}", wire(how)),
            Self::DynamoDb(what, percent) => format!("DynamoDB: {percent} % {}", trouble(what)),
        }
    }

    /// Begins it.
    ///
    /// # Errors
    ///
    /// That it can't be done.
    pub fn begin(self, world: &World) -> Result<(), Source> {
        match self {
            Self::RedisWire(wire) => world.redis_wire.set(wire),
            Self::RedisFrozen => world.signal_redis(Signal::STOP)?,
            Self::RedisKilled => world.kill_redis(),
            Self::RedisFull => {
                configure(world, "maxmemory-policy", "noeviction")?;
                configure(world, "maxmemory", "1")?;
            }
            // Of a master that is not there: it keeps what it has.
            Self::RedisReplica => replicate(world, "127.0.0.1", "1")?,
            Self::RedisPassword => {
                configure(world, "requirepass", "changed")?;
                // Who is in stays in, unless the connection ends.
                let mut redis = world.redis()?;
                redis::cmd("AUTH").arg("changed").exec(&mut redis)?;
                let all = ["KILL", "TYPE", "normal", "SKIPME", "yes"];
                redis::cmd("CLIENT").arg(&all).exec(&mut redis)?;
            }
            Self::RedisWrongType | Self::RedisFlushed => {}
            Self::DynamoDbWire(wire) => world.dynamodb_wire.set(wire),
            Self::DynamoDb(trouble, percent) => world.dynamodb_proxy.set(Some((trouble, percent))),
        }
        Ok(())
    }

    /// Does what has to be done again and again while it lasts.
    ///
    /// # Errors
    ///
    /// That it can't be done.
    pub fn go_on(self, world: &World, truth: &Truth) -> Result<(), Source> {
        match self {
            Self::RedisFlushed => redis::cmd("FLUSHALL").exec(&mut world.redis()?)?,
            Self::RedisWrongType => {
                let mut redis = world.redis()?;
                let tasks = truth
                    .counters()
                    .map(|counter| format!("task:{}", counter.task_id));
                for key in tasks.chain(["{tasks}:generation".to_owned()]) {
                    let mut replace = redis::pipe();
                    replace.atomic().del(&key).rpush(&key, "rubbish");
                    replace.exec(&mut redis)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Ends it.
    ///
    /// # Errors
    ///
    /// That it can't be done.
    pub fn end(self, world: &World) -> Result<(), Source> {
        match self {
            Self::RedisWire(_) => world.redis_wire.set(Wire::Whole),
            Self::RedisFrozen => world.signal_redis(Signal::CONT)?,
            Self::RedisKilled => world.start_redis()?,
            Self::RedisFull => {
                configure(world, "maxmemory", "67108864")?;
                configure(world, "maxmemory-policy", "allkeys-lru")?;
            }
            Self::RedisReplica => replicate(world, "NO", "ONE")?,
            Self::RedisPassword => {
                let mut redis = world.redis()?;
                redis::cmd("AUTH").arg("changed").exec(&mut redis)?;
                let open = ["SET", "requirepass", ""];
                redis::cmd("CONFIG").arg(&open).exec(&mut redis)?;
            }
            Self::RedisWrongType | Self::RedisFlushed => {}
            Self::DynamoDbWire(_) => world.dynamodb_wire.set(Wire::Whole),
            Self::DynamoDb(..) => world.dynamodb_proxy.set(None),
        }
        Ok(())
    }
}

fn configure(world: &World, name: &str, value: &str) -> Result<(), Source> {
    let mut redis = world.redis()?;
    Ok(redis::cmd("CONFIG")
        .arg(&["SET", name, value])
        .exec(&mut redis)?)
}

fn replicate(world: &World, host: &str, port: &str) -> Result<(), Source> {
    let mut redis = world.redis()?;
    Ok(redis::cmd("REPLICAOF")
        .arg(&[host, port])
        .exec(&mut redis)?)
}
