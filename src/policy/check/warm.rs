//! `[warm]`: what is asked before anybody calls.

use super::Check;
use crate::policy::file::warm::WarmFile;
use crate::policy::warm::{Schedule, Warm, WarmSource};
use crate::policy::{CacheRules, Engine};
use crate::written::{Field, Ratio, Span, Spanned};

/// The most keys that are kept hot: each is looked at every so often.
const MOST_HOT: u32 = 1_000_000;

const SOURCE_MEND: &str =
    "write `file = \"keys.txt\"`, `database` and `query`, or `journal = true`: where the keys come from";

impl Check<'_> {
    pub(super) fn warm(&mut self, file: Option<Spanned<WarmFile>>, cache: &CacheRules) -> Warm {
        let Some(file) = file else { return Warm::default() };
        let table = file.span();
        let mut file = file.into_inner();
        let schedule_span = file.schedule.as_ref().map(Spanned::span);
        let start_span = file.at_start.as_ref().map(Spanned::span);
        let spread = file.over.as_ref().map(Spanned::span).or(file.rate.as_ref().map(Spanned::span));
        let share = self.faults.or(file.share.take(), Ratio(Warm::default().share)).0;
        let keep_hot = self.keep_hot(file.keep_hot.take(), cache);
        let at_start = self.faults.or(file.at_start.take(), false);
        let schedule = self.schedule(file.schedule.take());
        let over = self.faults.value(file.over.take()).map(|over| {
            if over.get_ref().is_zero() {
                self.faults.at(&over.span(), "this duration must not be zero", "write how long, such as \"30m\"");
            }
            over.into_inner()
        });
        let rate = self.faults.value(file.rate.take()).map(|rate| {
            if *rate.get_ref() <= 0.0 {
                self.faults.at(&rate.span(), "with a rate of 0 nothing is ever asked", "write how many dips a second");
            }
            rate.into_inner()
        });
        let given = file.file.is_some() || file.database.is_some() || file.query.is_some() || file.journal.is_some();
        let sources = self.warm_sources(file, &table, cache);
        if !given {
            if let Some(span) = schedule_span.or(start_span.filter(|_| at_start)).or(spread) {
                self.faults.at(&span, "there are no keys to ask for", SOURCE_MEND);
            }
        } else if cache.found.is_zero() {
            let mend = "give answers a life under [cache], or take the keys out";
            self.faults.at(&table, "nothing of this lookup is kept: there is nothing to warm", mend);
        }
        Warm { share, keep_hot, sources, at_start, schedule, over, rate }
    }

    fn keep_hot(&mut self, field: Field<u32>, cache: &CacheRules) -> usize {
        let Some(hot) = self.faults.value(field) else { return 0 };
        let span = hot.span();
        let count = hot.into_inner();
        if count > MOST_HOT {
            self.faults.at(
                &span,
                format!("`{count}` is more than can be kept hot"),
                format!("write at most {MOST_HOT}"),
            );
        } else if count > 0 && u64::from(count) > cache.max_entries {
            let what = format!("`keep_hot` is more than the cache holds, which is {}", cache.max_entries);
            self.faults.at(&span, what, "lower `keep_hot`, or raise `max_entries` under [cache]");
        }
        if count > 0 {
            self.counts_keys(&span, cache);
        }
        usize::try_from(count).unwrap_or(0)
    }

    fn counts_keys(&mut self, span: &Span, cache: &CacheRules) {
        if cache.engine == Engine::Moka {
            let mend = "take `engine` out under [cache]";
            self.faults.at(span, "the engine `moka` does not tell which keys are asked for", mend);
        }
    }

    fn schedule(&mut self, field: Field<String>) -> Option<Schedule> {
        let pattern = self.faults.value(field)?;
        match Schedule::parse(pattern.get_ref()) {
            Ok(schedule) => Some(schedule),
            Err(why) => {
                let what = format!("`{}` is no cron pattern: {}", pattern.get_ref(), why.trim_end_matches('.'));
                let mend = "write minute, hour, day of the month, month and day of the week, such as \"30 5 * * 1-5\"";
                self.faults.at(&pattern.span(), what, mend);
                None
            }
        }
    }

    fn warm_sources(&mut self, file: WarmFile, table: &Span, cache: &CacheRules) -> Vec<WarmSource> {
        let mut sources = Vec::new();
        if let Some(journal) = self.faults.value(file.journal).filter(|journal| *journal.get_ref()) {
            self.counts_keys(&journal.span(), cache);
            sources.push(WarmSource::Journal);
        }
        if let Some(path) = self.faults.value(file.file) {
            sources.push(WarmSource::File(self.folder.join(path.get_ref())));
        }
        if file.database.is_none() && file.query.is_none() {
            return sources;
        }
        let (has_database, has_query) = (file.database.is_some(), file.query.is_some());
        let database = self.faults.value(file.database);
        let mend = "add `database = \"env:NAME\"`, and set NAME to a URL such as postgres://user:password@host/db";
        let database = self.required(database, table, "database", has_database, mend);
        let database = database.and_then(|database| self.database(&database));
        let query = self.faults.value(file.query);
        let mend = "add the statement, such as `query = \"select number from subscribers\"`";
        if let Some(query) = self.required(query, table, "query", has_query, mend) {
            self.whole_statement(&query);
            sources.extend(database.map(|database| WarmSource::Sql { database, query: query.into_inner() }));
        }
        sources
    }
}
