using Evenkeel.Core.Model;

namespace Evenkeel.Core.Volumes;

/// <summary>
/// A leg's memory of the highest epoch under which it was written (safety rule 7). A writer names its epoch when it connects: a
/// lower one is refused, a higher one ends every older writer. What raised the epoch is served only after the new one is on stable
/// storage and no request of an older writer is under way, in this order: else a crash in between would let the older one back in.
/// </summary>
public sealed class LegGate
{
    private readonly bool keeps;

    public LegGate(Epoch highest) : this(highest, true) { }

    /// <param name="keeps">False in tests alone: the leg takes whoever comes.</param>
    internal LegGate(Epoch highest, bool keeps) => (Highest, this.keeps) = (highest, keeps);

    public Epoch Highest { get; private set; }

    /// <summary>Null: it may write; else why not.</summary>
    /// <param name="raised">The epoch grew: persist <see cref="Highest"/>, then drain older writers, then serve.</param>
    public string? Admit(Epoch asked, out bool raised)
    {
        raised = asked > Highest;
        if (keeps && asked < Highest) return $"epoch {asked} is over: the leg was written under {Highest}";
        if (raised) Highest = asked;
        return null;
    }

    /// <summary>Whether a request of a writer that was let in under this epoch may still be carried out.</summary>
    public bool MayWrite(Epoch under) => !keeps || under >= Highest;
}
