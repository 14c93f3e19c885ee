namespace Evenkeel.Raid.Hosting;

/// <summary>What a host may be given beside its array.</summary>
public sealed record HostOptions
{
    /// <summary>A file in which an unfinished scrub is remembered over a restart; null = it begins anew.</summary>
    public string? ScrubFile { get; init; }

    /// <summary>Arrays of one group lend each other spares; null = neither lends nor borrows.</summary>
    public string? SpareGroup { get; init; }

    /// <summary>Asks the other arrays of the group for a spare of at least so many bytes: its path or URI, or null if nobody has one.</summary>
    public Func<long, CancellationToken, Task<string?>>? Borrow { get; init; }
}
