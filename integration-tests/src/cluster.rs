//! Three servers that keep the log together, each stream on all of them, and the lines between them, which can be cut.

mod line;

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use async_nats::{ConnectOptions, jetstream};
use backing_services::{Nats, NatsOptions, testing};
use futures::future::join_all;
use tokio::time::{Instant, sleep};

use self::line::Line;

/// So many servers, which is also how many copies there are of each stream.
pub const NODES: usize = 3;

/// The longest that a cluster may take to become whole again.
const PATIENCE: Duration = Duration::from_secs(180);

/// Before it is looked at again.
const AGAIN: Duration = Duration::from_millis(200);

/// A stream that is made and removed to see whether the cluster makes streams yet.
const TRIAL: &str = "TRIAL";

/// Three servers, of which each reaches the others by lines of its own alone.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Nats>,
    stores: Vec<PathBuf>,
    /// From the first server to the second.
    lines: Vec<(usize, usize, Line)>,
    /// How a client connects that may do everything.
    options: ConnectOptions,
}

impl Cluster {
    /// Starts three servers, each prepared alike, and waits until they make streams. The folder is for what they keep.
    pub async fn start(
        folder: &Path,
        options: ConnectOptions,
        prepare: impl Fn(&mut NatsOptions),
    ) -> Self {
        let ports: Vec<u16> = (0..NODES).map(|_| testing::free_port()).collect();
        let mut lines = Vec::new();
        for from in 0..NODES {
            for to in (0..NODES).filter(|to| *to != from) {
                lines.push((from, to, Line::to(ports[to]).await));
            }
        }
        let stores: Vec<PathBuf> = (0..NODES)
            .map(|node| folder.join(format!("streams-{node}")))
            .collect();
        let starting = (0..NODES).map(|node| {
            let block = routes(node, ports[node], &lines);
            let (store, prepare) = (stores[node].clone(), &prepare);
            testing::own_nats_with(move |options| {
                prepare(options);
                options.store = Some(store);
                options.configuration = format!("{}\n{block}", options.configuration);
            })
        });
        let nodes = join_all(starting).await;
        let cluster = Self {
            nodes,
            stores,
            lines,
            options,
        };
        cluster.makes_streams().await;
        cluster
    }

    /// Where clients connect: any of them will do.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Nats::url).collect()
    }

    /// One of the servers.
    pub fn node(&self, node: usize) -> &Nats {
        &self.nodes[node]
    }

    /// All of them.
    pub fn nodes(&self) -> &[Nats] {
        &self.nodes
    }

    /// The server that leads a stream.
    pub async fn leader(&self, stream: &str) -> usize {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.jetstream().await.get_stream(stream).await;
            let cluster = found
                .ok()
                .and_then(|found| found.cached_info().cluster.clone());
            let leader = cluster.and_then(|cluster| cluster.leader);
            let leads = |node: &Nats| Some(node.name()) == leader.as_deref();
            if let Some(node) = self.nodes.iter().position(leads) {
                return node;
            }
            assert!(Instant::now() < deadline, "{stream} has no leader");
            sleep(AGAIN).await;
        }
    }

    /// Waits until a stream is led by another server than this one.
    pub async fn another_leads(&self, stream: &str, node: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.leader(stream).await == node {
            assert!(Instant::now() < deadline, "{stream} has no other leader");
            sleep(AGAIN).await;
        }
    }

    /// Kills a server, and starts it again with what it kept.
    pub async fn kill_and_restart(&self, node: usize) {
        self.nodes[node].kill().await;
        self.nodes[node].restart().await.unwrap();
    }

    /// Kills a server, and starts it again with an empty disk.
    pub async fn wipe(&self, node: usize) {
        self.nodes[node].kill().await;
        std::fs::remove_dir_all(&self.stores[node]).unwrap();
        self.nodes[node].restart().await.unwrap();
    }

    /// Kills all servers at once, and starts them again.
    pub async fn kill_and_restart_all(&self) {
        join_all(self.nodes.iter().map(Nats::kill)).await;
        for restarted in join_all(self.nodes.iter().map(Nats::restart)).await {
            restarted.unwrap();
        }
    }

    /// Has nothing come through between a server and the others. Clients still reach it.
    pub fn cut_off(&self, node: usize) {
        for line in self.lines_of(node) {
            line.fall_silent();
        }
    }

    /// Tears all connections between a server and the others, and lets no new ones come about. Clients still reach it.
    pub fn tear_off(&self, node: usize) {
        for line in self.lines_of(node) {
            line.tear();
        }
    }

    /// Takes [`Cluster::cut_off`] or [`Cluster::tear_off`] back.
    pub fn mend(&self, node: usize) {
        for line in self.lines_of(node) {
            line.carry_on();
        }
    }

    /// Waits until each stream has a leader, and all servers hold all that it has.
    pub async fn is_whole(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let wanting = self.wanting().await;
            if wanting.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "still wanting: {wanting:?}");
            sleep(AGAIN).await;
        }
    }

    /// The streams that lack a copy, or what is wrong with the cluster.
    async fn wanting(&self) -> Vec<String> {
        use futures::TryStreamExt as _;
        let jetstream = self.jetstream().await;
        let streams: Vec<_> = match jetstream.streams().try_collect().await {
            Ok(streams) => streams,
            Err(error) => return vec![error.to_string()],
        };
        let mut wanting = Vec::new();
        for stream in streams {
            let whole = stream.cluster.as_ref().is_some_and(|cluster| {
                let copies = &cluster.replicas;
                cluster.leader.is_some()
                    && copies.len() + 1 == NODES
                    && copies.iter().all(|copy| copy.current && !copy.offline)
            });
            if !whole {
                wanting.push(stream.config.name);
            }
        }
        wanting
    }

    fn lines_of(&self, node: usize) -> impl Iterator<Item = &Line> {
        let of_it = self
            .lines
            .iter()
            .filter(move |(from, to, _)| [*from, *to].contains(&node));
        of_it.map(|(_, _, line)| line)
    }

    async fn jetstream(&self) -> jetstream::Context {
        let client = self.options.clone().connect(self.urls()).await.unwrap();
        jetstream::new(client)
    }

    async fn makes_streams(&self) {
        let deadline = Instant::now() + PATIENCE;
        let jetstream = self.jetstream().await;
        let trial = jetstream::stream::Config {
            name: TRIAL.to_owned(),
            num_replicas: NODES,
            ..jetstream::stream::Config::default()
        };
        while let Err(error) = jetstream.get_or_create_stream(trial.clone()).await {
            assert!(Instant::now() < deadline, "no stream is made: {error}");
            sleep(AGAIN).await;
        }
        jetstream.delete_stream(TRIAL).await.unwrap();
    }
}

/// The block by which a server finds the others. It tells nobody where it can be reached without the lines.
fn routes(node: usize, port: u16, lines: &[(usize, usize, Line)]) -> String {
    let mut routes = format!("\"nats-route://127.0.0.1:{port}\"");
    for (_, _, line) in lines.iter().filter(|(from, _, _)| *from == node) {
        write!(routes, ", \"nats-route://{}\"", line.address())
            .expect("a text takes all that is written");
    }
    format!(
        "cluster {{ name: eldercare, listen: \"127.0.0.1:{port}\", advertise: \"127.0.0.1:1\", routes: [{routes}] }}"
    )
}
