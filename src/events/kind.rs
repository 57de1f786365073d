//! The types of events there are. Their names are fixed: alert rules and consumers are written against them.

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventType {
    /// A lookup's flag turned 0.
    Degraded,
    /// A lookup's flag turned 1.
    Recovered,
    /// A lookup still answers, but late.
    Slow,
    /// A breaker opened.
    Opened,
    /// A breaker lets a probe through.
    HalfOpen,
    /// A breaker closed.
    Closed,
    /// A vendor asked to be left alone.
    Held,
    /// A vendor answered what a rule of its policy marks with `alert`.
    Alert,
    /// A table has rows for the first time, or again after a load that failed.
    TableLoaded,
    /// A load of a table failed or was not believed; the old rows go on.
    TableRejected,
    /// The shared cache does not answer.
    SharedDown,
    /// The shared cache answers again.
    SharedUp,
    /// Callers got stale records: summed up, never one a call.
    AnswerStale,
    /// Callers got the policy's fallback record: summed up, never one a call.
    AnswerFallback,
    /// A sink takes no events, or refuses them for good.
    SinkDown,
    /// A sink takes events again.
    SinkUp,
    /// Somebody tries whether events arrive.
    SinkTest,
    /// A new config runs.
    ConfigReloaded,
    /// A new config was refused, and the old one goes on.
    ConfigRejected,
    /// This node takes calls.
    NodeStarted,
    /// This node drains.
    NodeStopping,
    /// A run of pre-warming ended.
    WarmFinished,
}

impl EventType {
    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::Degraded,
        Self::Recovered,
        Self::Slow,
        Self::Opened,
        Self::HalfOpen,
        Self::Closed,
        Self::Held,
        Self::Alert,
        Self::TableLoaded,
        Self::TableRejected,
        Self::SharedDown,
        Self::SharedUp,
        Self::AnswerStale,
        Self::AnswerFallback,
        Self::SinkDown,
        Self::SinkUp,
        Self::SinkTest,
        Self::ConfigReloaded,
        Self::ConfigRejected,
        Self::NodeStarted,
        Self::NodeStopping,
        Self::WarmFinished,
    ];

    /// The CloudEvents `type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Degraded => "dipcache.dependency.degraded",
            Self::Recovered => "dipcache.dependency.recovered",
            Self::Slow => "dipcache.dependency.slow",
            Self::Opened => "dipcache.upstream.opened",
            Self::HalfOpen => "dipcache.upstream.half_open",
            Self::Closed => "dipcache.upstream.closed",
            Self::Held => "dipcache.upstream.held",
            Self::Alert => "dipcache.upstream.alert",
            Self::TableLoaded => "dipcache.table.loaded",
            Self::TableRejected => "dipcache.table.rejected",
            Self::SharedDown => "dipcache.cache.shared_down",
            Self::SharedUp => "dipcache.cache.shared_up",
            Self::AnswerStale => "dipcache.answer.stale",
            Self::AnswerFallback => "dipcache.answer.fallback",
            Self::SinkDown => "dipcache.sink.down",
            Self::SinkUp => "dipcache.sink.up",
            Self::SinkTest => "dipcache.sink.test",
            Self::ConfigReloaded => "dipcache.config.reloaded",
            Self::ConfigRejected => "dipcache.config.rejected",
            Self::NodeStarted => "dipcache.node.started",
            Self::NodeStopping => "dipcache.node.stopping",
            Self::WarmFinished => "dipcache.warm.finished",
        }
    }

    /// True for what somebody should look at.
    pub const fn is_bad(self) -> bool {
        matches!(
            self,
            Self::Degraded
                | Self::Slow
                | Self::Opened
                | Self::Held
                | Self::Alert
                | Self::TableRejected
                | Self::SharedDown
                | Self::SinkDown
                | Self::ConfigRejected
        )
    }

    /// True for a sum over many calls: the first to go where there is no room, since a state's turn says more.
    pub const fn is_summary(self) -> bool {
        matches!(self, Self::AnswerStale | Self::AnswerFallback | Self::WarmFinished)
    }

    /// True where the breaker's figures belong to the tale.
    pub(super) const fn has_ratios(self) -> bool {
        matches!(self, Self::Degraded | Self::Recovered | Self::Slow | Self::Opened | Self::HalfOpen | Self::Closed)
    }
}
