//! A MariaDB of our own.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, MySqlConnection};

use super::process::{self, Server};

const USER: &str = "mysql";

/// A running MariaDB with an empty database `dips`.
pub struct MariaDb {
    /// The server.
    pub server: Server,
    /// Where clients find it, as `mysql://…`.
    pub url: String,
}

impl MariaDb {
    /// Starts one; `None` where it is not installed.
    pub async fn start() -> Option<Self> {
        let (Some(install), Some(mariadbd)) =
            (process::find("mariadb-install-db", &[]), process::find("mariadbd", &[]))
        else {
            process::skipped("mariadbd", "mariadb-server");
            return None;
        };
        let dir = process::directory_for(USER);
        let data = dir.path().join("data");
        let mut command = process::as_user(USER, &install);
        command.arg("--no-defaults").arg(format!("--datadir={}", data.display()));
        command.args(["--auth-root-authentication-method=normal", "--skip-test-db", "--innodb-log-file-size=8M"]);
        process::run(command);
        let init = dir.path().join("init.sql");
        std::fs::write(
            &init,
            "CREATE DATABASE dips;\nCREATE USER dipcache@'%' IDENTIFIED BY 'pass';\nGRANT ALL ON *.* TO dipcache@'%';\n")
            .expect("the directory is ours");
        let port = process::free_port();
        let args = [
            "--no-defaults".to_owned(),
            format!("--datadir={}", data.display()),
            format!("--port={port}"),
            format!("--socket={}", dir.path().join("socket").display()),
            format!("--pid-file={}", dir.path().join("pid").display()),
            format!("--init-file={}", init.display()),
            "--bind-address=127.0.0.1".to_owned(),
            "--skip-name-resolve".to_owned(),
            "--character-set-server=utf8mb4".to_owned(),
            "--innodb-log-file-size=8M".to_owned(),
            "--innodb-flush-log-at-trx-commit=0".to_owned(),
        ];
        let server = Server::start(dir, USER, &mariadbd, &args);
        let url = format!("mysql://dipcache:pass@127.0.0.1:{port}/dips");
        let up = process::until(Duration::from_secs(60), || async { MySqlConnection::connect(&url).await.ok() }).await;
        assert!(up.is_some(), "MariaDB does not start: {}", server.log());
        Some(Self { server, url })
    }

    /// Runs statements as an owner.
    pub async fn execute(&self, statements: &str) {
        let mut connection = MySqlConnection::connect(&self.url).await.expect("MariaDB answers");
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await.expect(statements);
    }

    /// One number, asked as an owner.
    pub async fn number(&self, query: &str) -> i64 {
        let mut connection = MySqlConnection::connect(&self.url).await.expect("MariaDB answers");
        sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&mut connection).await.expect(query)
    }
}
