//! A real Redis cluster on the loopback interface: three masters and a replica, each a child
//! process of the test.

use std::net::TcpListener;
use std::ops::Range;
use std::time::Duration;

use shared::config::{CacheConfig, Secret};
use shared::model::RecordId;
use tokio::time::{interval, timeout};

use crate::certificates::{Authority, Certificate};
use crate::redis_server::{PATIENCE, RedisServer, free_port};

/// The number of slots of any cluster.
const SLOTS: usize = 16384;
const MASTERS: usize = 3;
/// The arguments of each node. The cluster forms fast, works without all of its nodes (as
/// ElastiCache does), and fails over only when the test says so.
const CLUSTER_MODE: [&str; 12] = [
    "--cluster-enabled",
    "yes",
    "--cluster-node-timeout",
    "1000",
    "--cluster-require-full-coverage",
    "no",
    "--cluster-replica-no-failover",
    "yes",
    "--repl-diskless-sync-delay",
    "0",
    "--repl-ping-replica-period",
    "1",
];

/// A node, and the port at which clients and other nodes reach it.
struct Node {
    server: RedisServer,
    port: u16,
}

/// A cluster that stops when it is dropped.
pub(crate) struct RedisCluster {
    masters: Vec<Node>,
    /// The replica of the master with the task lists.
    replica: Node,
    authority_pem: Option<String>,
}

impl RedisCluster {
    pub(crate) async fn start() -> Self {
        Self::start_as(None).await
    }

    /// Starts a cluster with TLS, also between the nodes, and with a user `ann`.
    pub(crate) async fn start_with_tls(authority: &Authority) -> Self {
        let certificate = authority.sign(&["127.0.0.1"]);
        let cluster = Self::start_as(Some(&certificate)).await;
        // The permissions of the user in template.yaml.
        let rules = ["~run:*", "~{tasks}:*", "resetchannels"];
        let commands = ["+@all", "-@admin", "-@dangerous"];
        let user = [
            &["ACL", "SETUSER", "ann", "on", ">of ann"][..],
            &rules,
            &commands,
        ]
        .concat();
        for node in cluster.nodes() {
            node.server.run::<()>(&user).await;
        }
        Self {
            authority_pem: Some(authority.pem()),
            ..cluster
        }
    }

    async fn start_as(certificate: Option<&Certificate>) -> Self {
        let mut masters = Vec::new();
        for _ in 0..MASTERS {
            masters.push(Node::start(certificate).await);
        }
        let cluster = Self {
            masters,
            replica: Node::start(certificate).await,
            authority_pem: None,
        };
        cluster.join().await;
        cluster
    }

    /// Joins the nodes into one cluster.
    async fn join(&self) {
        for (n, master) in self.masters.iter().enumerate() {
            let slots: Vec<_> = slots_of(n).map(|slot| slot.to_string()).collect();
            let mut command = vec!["CLUSTER", "ADDSLOTS"];
            command.extend(slots.iter().map(String::as_str));
            master.server.run::<()>(&command).await;
            // Nodes accept a claim of slots by its epoch.
            let epoch = (n + 1).to_string();
            let command = ["CLUSTER", "SET-CONFIG-EPOCH", &epoch];
            master.server.run::<()>(&command).await;
        }
        let [first, others @ ..] = &self.masters[..] else {
            panic!("there are masters");
        };
        for node in others.iter().chain([&self.replica]) {
            let port = node.port.to_string();
            let command = ["CLUSTER", "MEET", "127.0.0.1", &port];
            first.server.run::<()>(&command).await;
        }
        let replica = &self.replica.server;
        let copied = self.master_of_lists().await;
        let id: String = copied.run(&["CLUSTER", "MYID"]).await;
        until(async || {
            let nodes: String = replica.run(&["CLUSTER", "NODES"]).await;
            nodes.contains(&id) && !nodes.contains("handshake")
        })
        .await;
        replica.run::<()>(&["CLUSTER", "REPLICATE", &id]).await;
        until(async || {
            let state: String = replica.run(&["INFO", "replication"]).await;
            state.contains("master_link_status:up")
        })
        .await;
        self.until_whole().await;
    }

    /// Waits until all nodes agree on the owner of every slot.
    async fn until_whole(&self) {
        let epoch = format!("cluster_current_epoch:{MASTERS}");
        for node in self.nodes() {
            until(async || {
                let state: String = node.server.run(&["CLUSTER", "INFO"]).await;
                let slots: Vec<Vec<redis::Value>> = node.server.run(&["CLUSTER", "SLOTS"]).await;
                let has_replica = slots.iter().any(|range| range.len() > 3);
                let is_whole = slots.len() == MASTERS && has_replica;
                state.contains("cluster_state:ok") && state.contains(&epoch) && is_whole
            })
            .await;
        }
    }

    fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.masters.iter().chain([&self.replica])
    }

    /// The index of the master with the task lists.
    async fn index_of_lists(&self) -> usize {
        let command = ["CLUSTER", "KEYSLOT", "{tasks}:generation"];
        let slot: usize = self.masters[0].server.run(&command).await;
        (0..MASTERS)
            .position(|n| slots_of(n).contains(&slot))
            .unwrap()
    }

    async fn master_of_lists(&self) -> &RedisServer {
        &self.masters[self.index_of_lists().await].server
    }

    /// The id of a task on another master.
    pub(crate) async fn task_elsewhere(&self) -> RecordId {
        let lists = slots_of(self.index_of_lists().await);
        for n in 0.. {
            let key = format!("run:t-{n}");
            let command = ["CLUSTER", "KEYSLOT", &key];
            let slot: usize = self.masters[0].server.run(&command).await;
            if !lists.contains(&slot) {
                return format!("t-{n}").parse().unwrap();
            }
        }
        unreachable!("two slots of three are elsewhere")
    }

    /// Stops the master with the task lists.
    pub(crate) async fn kill_master_of_lists(&mut self) {
        let index = self.index_of_lists().await;
        drop(self.masters.remove(index));
    }

    /// Suspends the master with the task lists, so that it hangs.
    pub(crate) async fn hang_master_of_lists(&self) {
        self.master_of_lists().await.hang();
    }

    /// Promotes the replica to master without the agreement of the other nodes.
    pub(crate) async fn fail_over(&self) {
        let command = ["CLUSTER", "FAILOVER", "TAKEOVER"];
        self.replica.server.run::<()>(&command).await;
    }

    pub(crate) fn masters(&self) -> impl Iterator<Item = &RedisServer> {
        self.masters.iter().map(|node| &node.server)
    }

    /// The configuration of a client. It names two nodes, and the client discovers the others.
    pub(crate) fn config(&self) -> CacheConfig {
        let endpoints = [&self.masters[0], &self.masters[1]];
        let endpoints = endpoints.map(|node| format!("127.0.0.1:{}", node.port));
        let config = CacheConfig {
            cluster: true,
            ..CacheConfig::at(endpoints.join(","))
        };
        let Some(pem) = &self.authority_pem else {
            return config;
        };
        CacheConfig {
            username: Some("ann".to_owned()),
            auth_token: Some(Secret::from("of ann".to_owned())),
            tls: true,
            ca_cert: Some(pem.clone()),
            ..config
        }
    }
}

impl Node {
    async fn start(certificate: Option<&Certificate>) -> Self {
        let port = free_port_of_node();
        let mut arguments = CLUSTER_MODE.map(str::to_owned).to_vec();
        let mut admin_port = port;
        if let Some(certificate) = certificate {
            admin_port = free_port();
            arguments.extend(certificate.arguments());
            arguments.extend(["--tls-port".to_owned(), port.to_string()]);
            let tls = ["--tls-cluster", "yes", "--tls-replication", "yes"];
            arguments.extend(tls.map(str::to_owned));
        }
        let server = RedisServer::start_with(admin_port, &arguments).await;
        Self { server, port }
    }
}

/// The slots of the nth master.
fn slots_of(n: usize) -> Range<usize> {
    SLOTS * n / MASTERS..SLOTS * (n + 1) / MASTERS
}

/// The port of the cluster bus.
fn bus_of(port: u16) -> u32 {
    u32::from(port) + 10_000
}

/// A free port whose cluster bus port is free too.
fn free_port_of_node() -> u16 {
    loop {
        let port = free_port();
        let bus = u16::try_from(bus_of(port));
        if bus.is_ok_and(|bus| TcpListener::bind(("127.0.0.1", bus)).is_ok()) {
            return port;
        }
    }
}

/// Waits until `is_so` returns true.
pub(crate) async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        let mut ticks = interval(Duration::from_millis(20));
        while !is_so().await {
            ticks.tick().await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap();
}
