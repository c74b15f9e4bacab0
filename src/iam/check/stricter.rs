//! Where the check refuses what the server takes.

/// Why a document is refused although the server takes it: it would not mean there what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stricter {
    /// A field that the server does not know.
    DroppedField,
    /// A field that differs from one the server knows in upper and lower case.
    WrongCase,
    /// `NotAction`.
    NotAction,
    /// An action that stands for more than one service.
    StarAction,
    /// A resource of a statement that does not ask for any.
    IgnoredResource,
    /// A resource that begins with a star and goes on, or ends with its prefix.
    MisreadResource,
    /// A policy variable that callers fill in.
    UnsafeVariable,
    /// `${...}` around what is no policy variable.
    UnknownVariable,
    /// A key, or the part after its slash, that no request has a value for.
    IgnoredKey,
    /// A qualifier before an operator that takes none.
    DroppedQualifier,
    /// An operator without keys.
    DroppedCondition,
    /// A value that is stored as another one.
    LooseValue,
    /// An action or resource that is named twice.
    Repeated,
    /// A list of resources without any.
    EmptyList,
}

impl Stricter {
    /// Every case.
    pub const ALL: [Self; 14] = [
        Self::DroppedField,
        Self::WrongCase,
        Self::NotAction,
        Self::StarAction,
        Self::IgnoredResource,
        Self::MisreadResource,
        Self::UnsafeVariable,
        Self::UnknownVariable,
        Self::IgnoredKey,
        Self::DroppedQualifier,
        Self::DroppedCondition,
        Self::LooseValue,
        Self::Repeated,
        Self::EmptyList,
    ];

    /// An example, as a document has it.
    pub fn example(self) -> &'static str {
        match self {
            Self::DroppedField => r#""Conditon": {...}, "Principal": "*""#,
            Self::WrongCase => r#""effect": "Allow""#,
            Self::NotAction => r#""NotAction": "s3:PutObject""#,
            Self::StarAction => r#""Action": "*", "Action": "s*""#,
            Self::IgnoredResource => r#""Action": "admin:Heal", "Resource": "arn:aws:s3:::lake""#,
            Self::MisreadResource => r#""Resource": ["*lake", "arn:aws:s3:::"]"#,
            Self::UnsafeVariable => r#""Resource": "arn:aws:s3:::lake/${jwt:sub}/*""#,
            Self::UnknownVariable => r#""Resource": "arn:aws:s3:::lake/${aws:UserName}/*""#,
            Self::IgnoredKey => r#""Condition": {"StringEquals": {"s3:ExistingObjectTag": "a"}}"#,
            Self::DroppedQualifier => r#""Condition": {"ForAllValues:NumericEquals": {...}}"#,
            Self::DroppedCondition => r#""Condition": {"StringLike": {}}"#,
            Self::LooseValue => r#""IpAddress": {"aws:SourceIp": "2001:db8::1"}"#,
            Self::Repeated => r#""Action": ["s3:GetObject", "s3:GetObject"]"#,
            Self::EmptyList => r#""Action": "kms:Status", "Resource": []"#,
        }
    }

    /// What the server does with it.
    pub fn on_the_server(self) -> &'static str {
        match self {
            Self::DroppedField => "dropped: the statement gives more than it says",
            Self::WrongCase => "read by this server; by others, and by other tools, dropped",
            Self::NotAction => {
                "stored, and cannot be read again: listing policies fails, and a server that starts with it has none"
            }
            Self::StarAction => {
                "`*` stands for every bucket and all of administration, whatever Resource says; other patterns take \
                 in what nobody thinks of"
            }
            Self::IgnoredResource => "ignored: the actions apply to everything",
            Self::MisreadResource => {
                "the star is taken off, so that it means `lake` alone; a prefix that nothing follows means nothing"
            }
            Self::UnsafeVariable => {
                "filled in with what the caller says, `*` included, where no session says otherwise"
            }
            Self::UnknownVariable => "taken as these letters",
            Self::IgnoredKey => "never met, or always",
            Self::DroppedQualifier => "dropped",
            Self::DroppedCondition => "dropped: the statement applies without condition",
            Self::LooseValue => {
                "stored as something else: an IPv6 address as a /32 network, `null` as false, half a second as none"
            }
            Self::Repeated => "named once; what was meant for the second is missing",
            Self::EmptyList => "taken as no list at all",
        }
    }
}
