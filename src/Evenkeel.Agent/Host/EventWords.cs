using Evenkeel.Agent.Control;
using Evenkeel.Core.Loop;

namespace Evenkeel.Agent.Host;

/// <summary>An agent's event in the control API's words: <c>PeerLost</c> becomes <c>peer-lost</c>.</summary>
internal static class EventWords
{
    public static ClusterEvent Of(LoggedEvent logged) => new(
        logged.Number, logged.At, Severity(logged.Kind), Words(logged.Kind),
        logged.Resource ?? (logged.Service is { } service ? "service/" + service : logged.Node is { } node ? "node/" + node : "agent"), logged.Words);

    // A later release may have kinds that this one does not know.
    public static EventSeverity Severity(string kind) => !Enum.TryParse<AnnouncementKind>(kind, out var known) ? EventSeverity.Info : known switch
    {
        AnnouncementKind.PeerLost or AnnouncementKind.StoreLost or AnnouncementKind.GuardLost or AnnouncementKind.InstanceFailed
            or AnnouncementKind.ActionFailed or AnnouncementKind.Quarantined or AnnouncementKind.FenceAsked or AnnouncementKind.FenceFailed or AnnouncementKind.BackupFailed => EventSeverity.Problem,
        AnnouncementKind.LeaseEnded or AnnouncementKind.Detected or AnnouncementKind.GuardWarning or AnnouncementKind.StoreWarning or AnnouncementKind.MoveRefused
            or AnnouncementKind.Refused or AnnouncementKind.ControllerDeposed => EventSeverity.Warning,
        _ => EventSeverity.Info,
    };

    private static string Words(string kind) =>
        string.Concat(kind.Select((letter, at) => char.IsUpper(letter) ? (at > 0 ? "-" : "") + char.ToLowerInvariant(letter) : letter.ToString()));
}
