//! The closed sets, and the one stable word of every case: the one that leaves the agent.

use std::fmt;

/// Declares an enum whose every case has one stable word, the one that leaves the agent.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$case_doc:meta])* $case:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$case_doc])* $case,)+ }

        impl $name {
            /// All of them, in the order of the contract.
            pub const ALL: &[Self] = &[$(Self::$case,)+];

            /// The word in configuration, JSON and telemetry.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$case => $word,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.word())
            }
        }
    };
}

words! {
    /// What a run came to.
    RunResult {
        /// The target behaved.
        Success = "success",
        /// The target is wrong.
        Failure = "failure",
        /// The target did not answer in time.
        Timeout = "timeout",
        /// The plugin or the agent is at fault; says nothing of the target.
        Error = "error",
        /// Did not take place: late, over capacity, maintenance.
        Skipped = "skipped",
        /// The agent's own network is sick.
        Unknown = "unknown",
    }
}

words! {
    /// Why, from a closed set: `error.type`.
    ErrorType {
        /// No address for the name.
        Dns = "dns",
        /// Refused by the peer.
        ConnectRefused = "connect_refused",
        /// No connection in time.
        ConnectTimeout = "connect_timeout",
        /// No route to the peer.
        ConnectUnreachable = "connect_unreachable",
        /// Reset or closed before the exchange was complete.
        ConnectionClosed = "connection_closed",
        /// The TLS handshake failed.
        TlsHandshake = "tls_handshake",
        /// The certificate was not accepted.
        TlsCertificate = "tls_certificate",
        /// The peer broke the protocol.
        Protocol = "protocol",
        /// No answer in time after the connection stood.
        Timeout = "timeout",
        /// The body was longer than allowed.
        BodyLimit = "body_limit",
        /// More redirects than allowed.
        Redirects = "redirects",
        /// The answer's status code.
        Status = "status",
        /// Any other expectation that was not met.
        Expectation = "expectation",
        /// Anything else about the target.
        Other = "other",
        /// Policy forbids the destination.
        Denied = "denied",
        /// The plugin trapped.
        PluginTrap = "plugin_trap",
        /// The plugin wanted more memory than it may have.
        PluginLimitMemory = "plugin_limit_memory",
        /// The plugin used up its CPU time.
        PluginLimitCpu = "plugin_limit_cpu",
        /// The plugin did not come back when its time was over.
        PluginLimitTime = "plugin_limit_time",
        /// The plugin's report was larger than allowed.
        PluginLimitOutput = "plugin_limit_output",
        /// The plugin's report contradicts the contract.
        PluginAnswer = "plugin_answer",
        /// The plugin said itself that it came to no verdict.
        PluginFailure = "plugin_failure",
        /// No free slot.
        Capacity = "capacity",
        /// The run before was still going, or the moment had passed.
        Late = "late",
        /// Skipped by a maintenance window.
        Maintenance = "maintenance",
        /// The agent's own network is sick.
        AgentNetwork = "agent_network",
        /// A defect of the agent.
        AgentInternal = "agent_internal",
    }
}

words! {
    /// The phases of an exchange, in order.
    Phase {
        /// Name resolution.
        Dns = "dns",
        /// The TCP handshake.
        Connect = "connect",
        /// The TLS handshake.
        Tls = "tls",
        /// From connection ready to the last byte of the request.
        Send = "send",
        /// From there to the first byte of the response.
        Wait = "wait",
        /// From there to the last byte of the response.
        Receive = "receive",
    }
}

words! {
    /// What the summariser made of the recent outcomes.
    State {
        /// All is well.
        Up = "up",
        /// It works, but not as well as it should.
        Degraded = "degraded",
        /// It does not work.
        Down = "down",
        /// Up and down too often to be called either.
        Flapping = "flapping",
        /// Not enough to go by.
        Unknown = "unknown",
        /// Deliberately not judged.
        Maintenance = "maintenance",
    }
}

words! {
    /// Why a run took place.
    Trigger {
        /// Its time had come.
        Schedule = "schedule",
        /// `vedette check`.
        Once = "once",
        /// A release gate asked.
        Gate = "gate",
        /// Somebody asked over the API.
        Api = "api",
    }
}

words! {
    /// How much an event matters.
    Severity {
        /// For the plugin's authors.
        Debug = "debug",
        /// Worth knowing.
        Info = "info",
        /// Worth a look.
        Warning = "warning",
        /// Worth an intervention.
        Error = "error",
    }
}

words! {
    /// How a measurement is aggregated.
    Instrument {
        /// The value now.
        Gauge = "gauge",
        /// An amount to add.
        Counter = "counter",
        /// One sample of a distribution.
        Histogram = "histogram",
    }
}

impl ErrorType {
    /// The result that a fault *of the target* makes; `error` for those of the plugin or the agent.
    pub const fn result(self) -> RunResult {
        match self {
            Self::ConnectTimeout | Self::Timeout => RunResult::Timeout,
            Self::Capacity | Self::Late | Self::Maintenance => RunResult::Skipped,
            Self::AgentNetwork => RunResult::Unknown,
            other if (other as u8) <= (Self::Other as u8) => RunResult::Failure,
            _ => RunResult::Error,
        }
    }
}
