//! A PostgreSQL of our own.

use std::path::PathBuf;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::process::{self, Server};

const USER: &str = "postgres";

/// A running PostgreSQL with an empty database.
pub struct Postgres {
    /// The server.
    pub server: Server,
    /// Where clients find it.
    pub url: String,
}

impl Postgres {
    /// Starts one; `None` where it is not installed.
    pub async fn start() -> Option<Self> {
        let (Some(initdb), Some(postgres)) =
            (process::find("initdb", &folders()), process::find("postgres", &folders()))
        else {
            process::skipped("postgres", "postgresql");
            return None;
        };
        let dir = process::directory_for(USER);
        let data = dir.path().join("data");
        let mut command = process::as_user(USER, &initdb);
        command.arg("-D").arg(&data);
        command.args(["-U", "dipcache", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"]);
        process::run(command);
        let port = process::free_port();
        let args = [
            "-D".to_owned(),
            data.display().to_string(),
            "-p".to_owned(),
            port.to_string(),
            format!("-cunix_socket_directories={}", dir.path().display()),
            "-clisten_addresses=127.0.0.1".to_owned(),
            "-cfsync=off".to_owned(),
            "-cshared_buffers=16MB".to_owned(),
        ];
        let server = Server::start(dir, USER, &postgres, &args);
        let url = format!("postgres://dipcache@127.0.0.1:{port}/postgres");
        let up = process::until(Duration::from_secs(60), || async { PgConnection::connect(&url).await.ok() }).await;
        assert!(up.is_some(), "PostgreSQL does not start: {}", server.log());
        Some(Self { server, url })
    }

    /// Runs statements as the owner.
    pub async fn execute(&self, statements: &str) {
        let mut connection = PgConnection::connect(&self.url).await.expect("PostgreSQL answers");
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await.expect(statements);
    }

    /// One number, asked as the owner.
    pub async fn number(&self, query: &str) -> i64 {
        let mut connection = PgConnection::connect(&self.url).await.expect("PostgreSQL answers");
        sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&mut connection).await.expect(query)
    }
}

/// Where distributions put the programs that are not meant for the path.
fn folders() -> Vec<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions.map(|version| version.path().join("bin")).collect()
}
