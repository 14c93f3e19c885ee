using Evenkeel.Core.Loop.Ports;

namespace Evenkeel.Services.PostgreSql;

/// <summary>A standby that receives nothing though its upstream answers: diverged, or the upstream lacks what it needs.</summary>
/// <param name="Diverged">It has what the upstream's history has not; else the upstream no longer has the log.</param>
internal sealed record LostUpstream(Upstream Upstream, bool Diverged)
{
    /// <summary>Null while it may still come to follow by itself.</summary>
    /// <param name="status">Null when it has not come to answer: then its control file is asked.</param>
    /// <param name="patient">It may be busy with log that it has, and is not to be taken for one that waits for more.</param>
    public static async Task<LostUpstream?> FindAsync(
        Place place, Upstream upstream, DataPreparation preparation, ServerStatus? status, bool patient, CancellationToken cancellation)
    {
        if (await preparation.AskAsync(upstream, cancellation).ConfigureAwait(false) is not { Settled: true } facts
            || (await place.Programs.ReadAsync(place.Data, cancellation).ConfigureAwait(false)).Data is not { } control || facts.System != control.System)
        {
            return null;
        }

        var diverged = status is null ? !facts.History.HasAll(control) : !facts.History.HasAll(status.Timeline, status.Position);
        var gone = !patient && facts.Oldest > WalPosition.Segment(status?.Position ?? control.Position, control.SegmentBytes);
        return diverged || gone ? new LostUpstream(upstream, diverged) : null;
    }

    /// <summary>While the server does not run.</summary>
    public Task<ActionResult> MendAsync(DataPreparation preparation, CancellationToken cancellation) => Diverged
        ? preparation.RejoinAsync(Upstream, cancellation)
        : preparation.CloneAsync(Upstream, "it no longer has the log that is needed here", cancellation);
}
