//! Apache Kafka itself: one node in KRaft mode, broker and controller in one.
//!
//! Its jars come from Maven Central, once, into a cache outside of the repository (`tests/kafka-jars`).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::disk::SmallDisk;
use super::process::{self, Server};

/// A Kafka that can be killed and started again with what it has on disk.
pub struct Kafka {
    server: Option<Server>,
    /// What keeps its log, where not its home does.
    disk: Option<SmallDisk>,
    home: tempfile::TempDir,
    java: PathBuf,
    jars: PathBuf,
    /// Where clients find it, without TLS.
    pub brokers: String,
    /// With client certificates.
    pub mtls: String,
    /// With TLS, a name and a password: SCRAM-SHA-512 or PLAIN.
    pub sasl: String,
}

/// Keys for the listener with TLS.
pub struct Secrets {
    /// A PEM file: the server's key and its chain.
    pub server_pem: PathBuf,
    /// A PEM file: whom the server trusts.
    pub ca_pem: PathBuf,
}

/// Who gets in at the listener with SASL, and may do everything.
pub const USER: &str = "dipcache";
/// Who gets in with PLAIN, and may do nothing.
pub const GUEST: &str = "guest";
/// Both by this word.
pub const PASSWORD: &str = "open-sesame";

impl Kafka {
    /// Starts one; `None` where Java or the jars cannot be had.
    pub async fn start(secrets: Option<&Secrets>) -> Option<Self> {
        Self::start_with(secrets, None).await
    }

    /// Starts one that has its log on this disk, where there is one.
    pub async fn start_on(disk: Option<SmallDisk>) -> Option<Self> {
        Self::start_with(None, disk).await
    }

    async fn start_with(secrets: Option<&Secrets>, disk: Option<SmallDisk>) -> Option<Self> {
        let Some(java) = process::find("java", &[]) else {
            process::skipped("java", "openjdk-17-jre-headless");
            return None;
        };
        let fetched = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kafka-jars")).output().ok()?;
        let jars = PathBuf::from(String::from_utf8_lossy(&fetched.stdout).trim());
        if !fetched.status.success() || !jars.is_dir() {
            println!("SKIPPED: no Apache Kafka ({})", String::from_utf8_lossy(&fetched.stderr).trim());
            return None;
        }
        let ports: Vec<u16> = (0..4).map(|_| process::free_port()).collect();
        let home = process::directory_for("");
        let at = |port: u16| format!("127.0.0.1:{port}");
        let (plain, controller, mtls, sasl) = (at(ports[0]), at(ports[1]), at(ports[2]), at(ports[3]));
        let mut settings = format!(
            "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@{controller}\n\
             log.dirs={data}/data\ncontroller.listener.names=CONTROLLER\ninter.broker.listener.name=PLAIN\n\
             num.partitions=3\noffsets.topic.replication.factor=1\ntransaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\nauto.create.topics.enable=false\ngroup.initial.rebalance.delay.ms=0\n\
             offsets.topic.num.partitions=1\nmessage.max.bytes=200000\n",
            data = disk.as_ref().map_or(home.path(), SmallDisk::path).display(),
        );
        match secrets {
            None => settings.push_str(&format!(
                "listeners=PLAIN://{plain},CONTROLLER://{controller}\nadvertised.listeners=PLAIN://{plain}\n\
                 listener.security.protocol.map=PLAIN:PLAINTEXT,CONTROLLER:PLAINTEXT\n"
            )),
            Some(Secrets { server_pem, ca_pem }) => settings.push_str(&format!(
                "listeners=PLAIN://{plain},CONTROLLER://{controller},MTLS://{mtls},SASL://{sasl}\n\
                 advertised.listeners=PLAIN://{plain},MTLS://{mtls},SASL://{sasl}\n\
                 listener.security.protocol.map=PLAIN:PLAINTEXT,CONTROLLER:PLAINTEXT,MTLS:SSL,SASL:SASL_SSL\n\
                 sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN\n\
                 listener.name.sasl.scram-sha-512.sasl.jaas.config=\
                 org.apache.kafka.common.security.scram.ScramLoginModule required;\n\
                 listener.name.sasl.plain.sasl.jaas.config=\
                 org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}=\"{PASSWORD}\" user_{GUEST}=\"{PASSWORD}\";\n\
                 authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
                 super.users=User:ANONYMOUS;User:{USER};User:CN=rcgen self signed cert\n\
                 ssl.keystore.type=PEM\nssl.keystore.location={}\nssl.truststore.type=PEM\nssl.truststore.location={}\n\
                 listener.name.mtls.ssl.client.auth=required\n",
                server_pem.display(),
                ca_pem.display(),
            )),
        }
        std::fs::write(home.path().join("server.properties"), settings).expect("the directory is ours");
        let mut kafka = Self { java, jars, home, disk, server: None, brokers: plain, mtls, sasl };
        let mut format = kafka.java("kafka.tools.StorageTool");
        format.args(["format", "-t", "dGVzdHMtb2YtZGlwY2FjaA", "-c"]).arg(kafka.home.path().join("server.properties"));
        if secrets.is_some() {
            // KRaft has no other place for a first user: the controller's log begins with it.
            format.args(["--add-scram", &format!("SCRAM-SHA-512=[name={USER},password={PASSWORD}]")]);
        }
        process::run(format);
        kafka.restart().await;
        Some(kafka)
    }

    /// Lets the guest write to this topic.
    pub fn let_write(&self, topic: &str) {
        let mut command = self.java("kafka.admin.AclCommand");
        let guest = format!("User:{GUEST}");
        command.args(["--bootstrap-server", &self.brokers, "--add", "--allow-principal", &guest]);
        command.args(["--producer", "--topic", topic]);
        process::run(command);
    }

    fn java(&self, class: &str) -> Command {
        let (program, words) = self.door();
        let mut command = Command::new(program);
        command.args(words).args(self.flags(class));
        command
    }

    /// Java, on the disk where there is one.
    fn door(&self) -> (PathBuf, Vec<String>) {
        let Some(disk) = &self.disk else { return (self.java.clone(), Vec::new()) };
        let (program, mut words) = disk.door();
        words.push(self.java.display().to_string());
        (program, words)
    }

    fn flags(&self, class: &str) -> Vec<String> {
        let class_path = format!("{}/*", self.jars.display());
        ["-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", &class_path, class].map(str::to_owned).into()
    }

    /// Starts it on what it has on disk, and waits until it answers.
    pub async fn restart(&mut self) {
        let (program, mut arguments) = self.door();
        arguments.extend(self.flags("kafka.Kafka"));
        arguments.push(self.home.path().join("server.properties").display().to_string());
        let server = Server::start(process::directory_for(""), "", &program, &arguments);
        let brokers = self.brokers.clone();
        let up =
            process::until(Duration::from_secs(90), || async { tokio::net::TcpStream::connect(&brokers).await.ok() });
        assert!(up.await.is_some(), "Kafka does not start: {}", server.log());
        self.server = Some(server);
    }

    /// Kills it at once.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// The disk that it has its log on, if it was started on one.
    pub fn disk(&self) -> Option<&SmallDisk> {
        self.disk.as_ref()
    }

    /// True until it has ended, be it of its own.
    pub fn is_running(&self) -> bool {
        self.server.as_ref().is_some_and(Server::is_running)
    }

    /// Freezes it: connections stay, nothing answers.
    pub fn pause(&self) {
        self.server.iter().for_each(Server::pause);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.server.iter().for_each(Server::resume);
    }
}
