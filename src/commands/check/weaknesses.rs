//! Weaknesses of MinIO that matter here, and the versions that have them.

use jiff::civil::Date;

use super::judge::Finding;

/// A weakness that a release mended.
struct Mended {
    /// How it is known.
    name: &'static str,
    /// The day of the first release without it.
    on: Date,
    /// What it lets people do.
    effect: &'static str,
}

const MENDED: [Mended; 3] = [
    Mended {
        name: "CVE-2024-24747",
        on: jiff::civil::date(2024, 1, 31),
        effect: "holders of an access key can lift its restrictions and gain rights of its owner",
    },
    Mended {
        name: "CVE-2024-55949",
        on: jiff::civil::date(2024, 12, 13),
        effect: "any user can make itself administrator with a crafted IAM import",
    },
    Mended {
        name: "CVE-2025-62506",
        on: jiff::civil::date(2025, 10, 15),
        effect: "holders of a confined access key can mint an unconfined one, so that the scope of a MinioAccessKey does not hold",
    },
];

/// The last commit of the community server, after its last release; what came to light later is mended in forks only.
const LAST_COMMUNITY: Date = jiff::civil::date(2026, 2, 12);

/// What to say about a version; one that is not a release's date cannot be judged by its age.
pub(super) fn of(version: Option<&str>) -> Vec<Finding> {
    let released = version.and_then(release_day);
    let mended = MENDED.iter().filter(|weakness| released.is_some_and(|day| day < weakness.on)).map(|weakness| {
        let remedy = format!("upgrade to a release of {} or later", weakness.on);
        Finding::warn(format!("weakness {}", weakness.name), weakness.effect, remedy)
    });
    let unmended = released.is_some_and(|day| day <= LAST_COMMUNITY).then(|| {
        Finding::warn(
            "weakness unmaintained",
            "the community server gets no more releases; authentication weaknesses of 2026 (CVE-2026-40344, CVE-2026-41145, \
             CVE-2026-33322 and others) are not mended in it",
            "move to a maintained build of MinIO",
        )
    });
    let conditions = Finding::warn(
        "weakness conditions",
        "callers can spoof condition keys (s3:prefix, aws:SourceIp, aws:CurrentTime) with headers and query: names of \
         objects are not secret from holders of any grant in the bucket; reads and writes stay confined",
        "rely on Resource, not on Condition, in MinioPolicy documents, or put a proxy in front of MinIO that refuses to pass this on (deploy/proxy/nginx.conf)",
    );
    mended.chain(unmended).chain([conditions]).collect()
}

/// The day of a release, from `2025-10-15T17:29:55Z` or `RELEASE.2025-10-15T17-29-55Z`.
fn release_day(version: &str) -> Option<Date> {
    version.strip_prefix("RELEASE.").unwrap_or(version).get(..10)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(version: Option<&str>) -> Vec<String> {
        of(version).into_iter().map(|finding| finding.check.replace("weakness ", "")).collect()
    }

    #[test]
    fn older_servers_have_more_weaknesses() {
        assert_eq!(
            names(Some("2023-12-02T10:51:33Z")),
            ["CVE-2024-24747", "CVE-2024-55949", "CVE-2025-62506", "unmaintained", "conditions"]
        );
        assert_eq!(names(Some("RELEASE.2024-12-13T22-19-12Z")), ["CVE-2025-62506", "unmaintained", "conditions"]);
        assert_eq!(names(Some("2025-10-15T17:29:55Z")), ["unmaintained", "conditions"]);
        assert_eq!(names(Some("2026-02-12T20:18:48Z")), ["unmaintained", "conditions"]);
        assert_eq!(names(Some("2026-09-16T00:00:00Z")), ["conditions"]);
    }

    #[test]
    fn what_has_no_date_is_not_judged_by_age() {
        assert_eq!(names(Some("DEVELOPMENT.GOGET")), ["conditions"]);
        assert_eq!(names(None), ["conditions"]);
    }
}
