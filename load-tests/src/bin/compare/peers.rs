//! The servers that are compared: started in a folder of their own, on free ports, each holding the same answers.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::ValueEnum;
use indexmap::IndexMap;
use load_tests::load::Load;
use load_tests::load::keys::{Draw, Keys, number};
use load_tests::load::pace::Pace;
use load_tests::load::wire::Wire;
use load_tests::stage::{Program, Proxy, Site, find, free_port, spent_by_family};
use load_tests::vendor::{Conduct, Protocol, Vendors};

/// Keys that every server holds.
pub(crate) const KEYS: u64 = 100_000;

/// Names that every DNS server holds.
pub(crate) const NAMES: u64 = 20_000;

/// How fast they are filled in, a second: keys, and names, of which a lost one is not sent again.
const FILL: f64 = 15_000.0;
const FILL_NAMES: f64 = 3000.0;

/// How long a server may take until it answers.
const START: Duration = Duration::from_secs(10);

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Http,
    Memcached,
    Dns,
}

/// One server.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) version: String,
    pub(crate) address: SocketAddr,
    runs: Runs,
}

enum Runs {
    Program(Program),
    Proxy(Box<Proxy>),
}

impl Peer {
    /// Processor time of all its processes.
    pub(crate) fn cpu(&self) -> Duration {
        match &self.runs {
            Runs::Program(program) => spent_by_family(program.pid()).cpu,
            Runs::Proxy(proxy) => proxy.spent().cpu,
        }
    }
}

/// All servers of a kind, and the origin behind them. They end when this is dropped.
pub(crate) struct Troupe {
    pub(crate) peers: Vec<Peer>,
    pub(crate) origin: Vendors,
    memory: tempfile::TempDir,
    folder: tempfile::TempDir,
}

/// Starts one; `None` where it is not installed.
type Start = fn(&Place<'_>) -> anyhow::Result<Option<Peer>>;

/// Where a peer's files and ports are.
struct Place<'a> {
    folder: &'a Path,
    memory: &'a Path,
    origin: SocketAddr,
}

impl Troupe {
    /// Starts all that are installed, and fills them.
    pub(crate) fn start(kind: Kind, binary: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        // nginx keeps its cache in files: where there is memory that looks like a disk, there.
        let memory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())?;
        let at_once = Conduct { mode: dipcache::demo::vendors::Mode::Ok, latency: Duration::ZERO };
        let cast = [("single/vendor", Protocol::Http), ("carrier-dns/ns", Protocol::Dns)];
        let origin =
            Vendors::start(cast.into_iter().map(|(name, protocol)| (name.to_owned(), (protocol, at_once))).collect())?;
        let address =
            |name: &str| origin.stands().get(name).map(|stand| stand.address()).context("a vendor we started");
        let behind = address(if kind == Kind::Dns { "carrier-dns/ns" } else { "single/vendor" })?;
        let place = Place { folder: folder.path(), memory: memory.path(), origin: behind };
        let mut peers = vec![floor(kind, &place)?];
        let others: &[Start] = match kind {
            Kind::Http => &[nginx, varnish, haproxy],
            Kind::Memcached => &[memcached],
            Kind::Dns => &[unbound, dnsdist],
        };
        for start in others {
            peers.extend(start(&place)?);
        }
        peers.push(ours(kind, binary, folder.path(), &origin)?);
        for peer in &peers {
            fill(kind, peer).with_context(|| format!("filling {}", peer.name))?;
        }
        Ok(Self { peers, origin, memory, folder })
    }

    /// What only hands on bytes to this vendor and back: the least that a miss can cost through anything.
    pub(crate) fn relay(&self, vendor: SocketAddr) -> anyhow::Result<Peer> {
        let port = free_port()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["relay", &port.to_string(), &vendor.to_string()]);
        let place = Place { folder: self.folder.path(), memory: self.memory.path(), origin: vendor };
        up("bare relay", "a bare epoll loop".to_owned(), port, Kind::Http, &mut command, &place)
    }
}

fn floor(kind: Kind, place: &Place<'_>) -> anyhow::Result<Peer> {
    let port = free_port()?;
    let mut command = Command::new(std::env::current_exe()?);
    let word = match kind {
        Kind::Http => "http",
        Kind::Memcached => "memcached",
        Kind::Dns => "dns",
    };
    command.args(["floor", word, &port.to_string()]);
    up("floor", "a bare epoll loop".to_owned(), port, kind, &mut command, place)
}

fn nginx(place: &Place<'_>) -> anyhow::Result<Option<Peer>> {
    let Some(file) = installed("nginx") else { return Ok(None) };
    let port = free_port()?;
    let config = place.write("nginx.conf", include_str!("../../../peers/nginx.conf"), port)?;
    let version = says(Command::new(&file).arg("-v"));
    let mut command = Command::new(&file);
    command.arg("-e").arg("stderr").arg("-c").arg(config);
    up("nginx", version, port, Kind::Http, &mut command, place).map(Some)
}

fn varnish(place: &Place<'_>) -> anyhow::Result<Option<Peer>> {
    let Some(file) = installed("varnishd") else { return Ok(None) };
    let port = free_port()?;
    let config = place.write("varnish.vcl", include_str!("../../../peers/varnish.vcl"), port)?;
    let version = says(Command::new(&file).arg("-V"));
    let mut command = Command::new(&file);
    let listen = format!("127.0.0.1:{port}");
    command.args([
        "-F",
        "-j",
        "none",
        "-a",
        &listen,
        "-s",
        "malloc,1g",
        "-p",
        "thread_pools=2",
        "-p",
        "thread_pool_min=50",
    ]);
    command.arg("-n").arg(place.folder.join("varnish")).arg("-f").arg(config);
    up("Varnish", version, port, Kind::Http, &mut command, place).map(Some)
}

fn haproxy(place: &Place<'_>) -> anyhow::Result<Option<Peer>> {
    let Some(file) = installed("haproxy") else { return Ok(None) };
    let port = free_port()?;
    let config = place.write("haproxy.cfg", include_str!("../../../peers/haproxy.cfg"), port)?;
    let version = says(Command::new(&file).arg("-v"));
    let mut command = Command::new(&file);
    command.args(["-db", "-f"]).arg(config);
    up("HAProxy", version, port, Kind::Http, &mut command, place).map(Some)
}

fn memcached(place: &Place<'_>) -> anyhow::Result<Option<Peer>> {
    let Some(file) = installed("memcached") else { return Ok(None) };
    let port = free_port()?;
    let version = says(Command::new(&file).arg("-V"));
    let mut command = Command::new(&file);
    // `-R`: so many requests of one connection before the others have their turn.
    command.args(["-t", "2", "-m", "512", "-R", "200", "-l", "127.0.0.1", "-U", "0", "-u", "nobody", "-p"]);
    command.arg(port.to_string());
    up("memcached", version, port, Kind::Memcached, &mut command, place).map(Some)
}

fn unbound(place: &Place<'_>) -> anyhow::Result<Option<Peer>> {
    let Some(file) = installed("unbound") else { return Ok(None) };
    let port = free_port()?;
    let config = place.write("unbound.conf", include_str!("../../../peers/unbound.conf"), port)?;
    let version = says(Command::new(&file).arg("-V"));
    let mut command = Command::new(&file);
    command.args(["-d", "-c"]).arg(config);
    up("Unbound", version, port, Kind::Dns, &mut command, place).map(Some)
}

fn dnsdist(place: &Place<'_>) -> anyhow::Result<Option<Peer>> {
    let Some(file) = installed("dnsdist") else { return Ok(None) };
    let port = free_port()?;
    let config = place.write("dnsdist.lua", include_str!("../../../peers/dnsdist.lua"), port)?;
    let version = says(Command::new(&file).arg("--version"));
    let mut command = Command::new(&file);
    command.args(["--supervised", "--disable-syslog", "-C"]).arg(config);
    up("dnsdist", version, port, Kind::Dns, &mut command, place).map(Some)
}

/// dipcache, with policies that keep the very fields that the origin sends.
fn ours(kind: Kind, binary: &Path, folder: &Path, origin: &Vendors) -> anyhow::Result<Peer> {
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/policies");
    let read = |name: &str| -> anyhow::Result<toml::Table> {
        let path = policies.join(format!("{name}.toml"));
        Ok(toml::from_str(&fs::read_to_string(&path).with_context(|| path.display().to_string())?)?)
    };
    let mut single = read("single")?;
    let all: toml::Table = toml::from_str(
        "tn = \"'1' ~ body.tn\"\nlrn = \"body.lrn\"\nocn = \"body.ocn\"\nlata = \"body.lata\"\nstate = \"body.state\"",
    )?;
    let upstream = single.get_mut("upstream").and_then(toml::Value::as_array_mut).and_then(|all| all.first_mut());
    upstream
        .and_then(toml::Value::as_table_mut)
        .context("single.toml has an upstream")?
        .insert("fields".to_owned(), all.into());
    let policies = IndexMap::from([("single".to_owned(), single), ("carrier-dns".to_owned(), read("carrier-dns")?)]);
    let addresses = vec![
        ("vendor.single.test:1".to_owned(), origin.stands()["single/vendor"].address()),
        ("ns.carrier-dns.test:1".to_owned(), origin.stands()["carrier-dns/ns"].address()),
    ];
    let folder = folder.join("dipcache");
    fs::create_dir_all(&folder)?;
    let proxy = Proxy::start(binary, &Site { config: toml::Table::new(), policies, addresses }, &folder)?;
    let address = match kind {
        Kind::Http => proxy.http,
        Kind::Memcached => proxy.memcached,
        Kind::Dns => proxy.dns,
    };
    let version = says(Command::new(binary).arg("--version"));
    Ok(Peer { name: "dipcache", version, address, runs: Runs::Proxy(Box::new(proxy)) })
}

impl Place<'_> {
    /// Writes a peer's config with its places filled in.
    fn write(&self, name: &str, template: &str, port: u16) -> anyhow::Result<PathBuf> {
        // Only root can name the user whose files the cache is made of.
        let user = if rustix::process::getuid().is_root() { "user root;" } else { "" };
        let text = template
            .replace("@PORT@", &port.to_string())
            .replace("@ORIGIN@", &self.origin.port().to_string())
            .replace("@FOLDER@", &self.folder.display().to_string())
            .replace("@MEMORY@", &self.memory.display().to_string())
            .replace("@USER@", user);
        let path = self.folder.join(name);
        fs::write(&path, text)?;
        Ok(path)
    }
}

fn installed(name: &'static str) -> Option<PathBuf> {
    let file = find(name);
    if file.is_none() {
        println!("SKIPPED: {name} is not installed");
    }
    file
}

/// The first line of what a program says of itself.
fn says(command: &mut Command) -> String {
    let said = command.output().map(|said| [said.stdout, said.stderr].concat()).unwrap_or_default();
    let line = String::from_utf8_lossy(&said).lines().next().unwrap_or_default().to_owned();
    let words =
        line.split_whitespace().filter(|word| word.contains('.') && word.contains(|c: char| c.is_ascii_digit()));
    words.take(1).collect::<String>().trim_matches(|c: char| !c.is_alphanumeric()).to_owned()
}

fn up(
    name: &'static str,
    version: String,
    port: u16,
    kind: Kind,
    command: &mut Command,
    place: &Place<'_>,
) -> anyhow::Result<Peer> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut program = Program::start(name, command, place.folder)?;
    let begun = Instant::now();
    while !answers(kind, address) {
        program.still_runs()?;
        if begun.elapsed() > START {
            bail!("{name} does not answer after {START:?}:\n{}", program.last_words());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(Peer { name, version, address, runs: Runs::Program(program) })
}

fn answers(kind: Kind, address: SocketAddr) -> bool {
    if kind != Kind::Dns {
        return TcpStream::connect(address).is_ok();
    }
    let asked = || -> std::io::Result<usize> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(address)?;
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        let mut question = Vec::new();
        Wire::Dns.ask(&mut question, number(0), 0, 1);
        socket.send(&question)?;
        socket.recv(&mut [0; 512])
    };
    asked().is_ok()
}

/// Asks for every key once; memcached itself is told them.
fn fill(kind: Kind, peer: &Peer) -> anyhow::Result<()> {
    match peer.name {
        "floor" => return Ok(()),
        "memcached" => return tell(peer.address),
        _ => {}
    }
    let wire = match kind {
        Kind::Http => Wire::Http { path: "/v1/lookup/single/".to_owned() },
        Kind::Memcached => Wire::Memcached { prefix: "single:".to_owned() },
        Kind::Dns => Wire::Dns,
    };
    let (keys, a_second) = if kind == Kind::Dns { (NAMES, FILL_NAMES) } else { (KEYS, FILL) };
    let load = Load {
        name: "fill".to_owned(),
        wire,
        address: peer.address,
        turns: None,
        pace: Pace::Steady { a_second },
        keys: Keys::InTurn { from: 0 },
        budget_ms: (0, 0),
        connections: 16,
        from: Duration::ZERO,
        to: Duration::from_secs_f64(keys as f64 / a_second),
        patience: Duration::from_secs(5),
    };
    let mut missed = 0;
    for _ in 0..3 {
        missed = load.run(Instant::now())?.iter().filter(|sample| !sample.kind.has_record()).count();
        if missed == 0 {
            return Ok(());
        }
    }
    // A DNS server may lose a datagram now and then, which costs it a miss later.
    if missed as u64 > keys / 1000 {
        bail!("{missed} of {keys} keys were not answered");
    }
    Ok(())
}

/// memcached's `set` of every key, to the same value that the origin gives.
fn tell(address: SocketAddr) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(START))?;
    let mut draw = Draw::new(Keys::InTurn { from: 0 }, 0);
    let mut out = Vec::new();
    for n in 0..KEYS {
        let key = draw.key(n);
        let value = format!(
            "{{\"tn\":\"{key}\",\"lrn\":\"1303200{:04}\",\"ocn\":\"9206\",\"lata\":\"656\",\"state\":\"CO\"}}",
            key % 10_000
        );
        write!(out, "set single:{key} 1 0 {} noreply\r\n{value}\r\n", value.len())?;
    }
    out.extend_from_slice(b"version\r\n");
    stream.write_all(&out)?;
    let mut said = [0; 64];
    let length = stream.read(&mut said)?;
    if !said[..length].starts_with(b"VERSION") {
        bail!("{}", String::from_utf8_lossy(&said[..length]));
    }
    Ok(())
}
