//! The demo's database: one SQLite file with a few hundred rates and a handful of accounts, written anew at
//! each start into a folder that goes with the process.

use std::path::{Path, PathBuf};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use tempfile::TempDir;

use super::numbers::AREA_CODES;

/// The countries whose prefixes have a rate: prefix and price of a minute in US dollars.
const COUNTRIES: &[(&str, f64)] = &[
    ("1", 0.0061),
    ("20", 0.0890),
    ("27", 0.0410),
    ("30", 0.0098),
    ("31", 0.0110),
    ("32", 0.0124),
    ("33", 0.0076),
    ("34", 0.0081),
    ("39", 0.0093),
    ("41", 0.0280),
    ("44", 0.0052),
    ("4420", 0.0048),
    ("447", 0.0142),
    ("45", 0.0102),
    ("46", 0.0091),
    ("47", 0.0107),
    ("48", 0.0115),
    ("49", 0.0083),
    ("4915", 0.0191),
    ("4930", 0.0080),
    ("52", 0.0094),
    ("5255", 0.0071),
    ("54", 0.0180),
    ("55", 0.0171),
    ("56", 0.0202),
    ("57", 0.0133),
    ("61", 0.0119),
    ("64", 0.0136),
    ("81", 0.0240),
    ("82", 0.0160),
    ("86", 0.0112),
    ("91", 0.0127),
    ("972", 0.0105),
];

/// Decks, as carriers sell them.
const DECKS: [&str; 4] = ["northstar-a-z", "blue-mesa-gold", "prairie-premium", "coastline-cli"];

/// How many exchanges of each area code have a rate of their own.
const EXCHANGES: u32 = 24;

/// Customers there are: `1001` and so on.
const ACCOUNTS: u32 = 24;

/// The file's name that the policies give for the database's URL.
pub const URL_FILE: &str = "demo-database.url";

/// The seeded database; the folder goes when this is dropped.
#[derive(Debug)]
pub struct Seed {
    folder: TempDir,
}

impl Seed {
    /// Writes it.
    ///
    /// # Errors
    /// When the system's folder for temporary files takes no file.
    pub async fn plant() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("dipcache-demo-").tempdir()?;
        let seed = Self { folder };
        let options = SqliteConnectOptions::new().filename(seed.database()).create_if_missing(true);
        let mut connection = options.connect().await?;
        write(&mut connection).await?;
        connection.close().await?;
        tokio::fs::write(seed.url_file(), seed.url()).await?;
        Ok(seed)
    }

    /// The database's URL, `sqlite:/…`.
    pub fn url(&self) -> String {
        format!("sqlite:{}", self.database().display())
    }

    /// A file that holds the URL, for a policy's `database = "file:…"`.
    pub fn url_file(&self) -> PathBuf {
        self.folder.path().join(URL_FILE)
    }

    /// The folder, for whatever else the demo keeps on disk.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("demo.sqlite")
    }
}

async fn write(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    let mut all = connection.begin().await?;
    sqlx::raw_sql(
        "create table rates (prefix text primary key, rate_deck text not null, rate_inter real not null,
                             currency text not null, increment integer not null) without rowid;
         create table accounts (account_id text primary key, enabled integer not null, balance real not null,
                                currency text not null, prepaid integer not null, cps_limit integer not null,
                                channel_limit integer not null, plan text not null) without rowid;",
    )
    .execute(&mut *all)
    .await?;
    for (index, (prefix, price)) in prices().into_iter().enumerate() {
        let increment = if prefix.starts_with('1') { 6 } else { 60 };
        sqlx::query("insert into rates values (?, ?, ?, 'USD', ?)")
            .bind(prefix)
            .bind(DECKS[index % DECKS.len()])
            .bind(price)
            .bind(increment)
            .execute(&mut *all)
            .await?;
    }
    for account in 1..=ACCOUNTS {
        let prepaid = account % 3 == 0;
        sqlx::query("insert into accounts values (?, ?, ?, 'USD', ?, ?, ?, ?)")
            .bind((1000 + account).to_string())
            .bind(account % 12 != 0)
            .bind(f64::from(account * 37 % 500))
            .bind(prepaid)
            .bind(5 * (1 + account % 4))
            .bind(30 * (1 + account % 4))
            .bind(if prepaid { "prepaid-basic" } else { "wholesale" })
            .execute(&mut *all)
            .await?;
    }
    all.commit().await
}

/// Every prefix with its price: countries, area codes, and some exchanges within them.
fn prices() -> Vec<(String, f64)> {
    let mut prices: Vec<_> = COUNTRIES.iter().map(|&(prefix, price)| (prefix.to_owned(), price)).collect();
    for (index, area) in (0u32..).zip(AREA_CODES) {
        prices.push((format!("1{area}"), tenths_of_a_mill(32 + index % 9)));
        // Exchanges from 200 upwards, without those that end in 11.
        let exchanges = (200 + index..999).step_by(31).filter(|exchange| exchange % 100 != 11);
        prices.extend(
            exchanges
                .take(EXCHANGES as usize)
                .map(|exchange| (format!("1{area}{exchange}"), tenths_of_a_mill(20 + exchange % 41))),
        );
    }
    prices
}

/// A price in units of 0.0001, without the noise of a float's sums.
fn tenths_of_a_mill(units: u32) -> f64 {
    f64::from(units) / 10_000.0
}

#[cfg(test)]
mod tests {
    use sqlx::Row;

    use super::*;

    #[tokio::test]
    async fn the_longest_prefix_wins_and_the_folder_goes() {
        let seed = Seed::plant().await.unwrap();
        let url = tokio::fs::read_to_string(seed.url_file()).await.unwrap();
        let options: SqliteConnectOptions = url.parse().unwrap();
        let mut connection = options.read_only(true).connect().await.unwrap();
        let count: i64 = sqlx::query_scalar("select count(*) from rates").fetch_one(&mut connection).await.unwrap();
        assert!((200..2_000).contains(&count), "{count}");

        let policy: toml::Table = toml::from_str(include_str!("../../config/demo-policies/rate.toml")).unwrap();
        let query = policy["upstream"][0]["query"].as_str().unwrap().replace(":digits", "?1");
        for (digits, prefix) in
            [("442071234567", "4420"), ("443331234567", "44"), ("13032005555", "1303200"), ("19995550123", "1")]
        {
            let row =
                sqlx::query(sqlx::AssertSqlSafe(query.clone())).bind(digits).fetch_one(&mut connection).await.unwrap();
            assert_eq!(row.get::<String, _>("prefix"), prefix, "{digits}");
        }
        let plan: String = sqlx::query_scalar("select plan from accounts where account_id = '1003'")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(plan, "prepaid-basic");

        let folder = seed.folder().to_owned();
        connection.close().await.unwrap();
        drop(seed);
        assert!(!folder.exists());
    }
}
