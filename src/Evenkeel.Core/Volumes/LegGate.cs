using Evenkeel.Core.Model;

namespace Evenkeel.Core.Volumes;

/// <summary>
/// A leg's memory of the highest epoch under which it was written (safety rule 7). A writer names its epoch when it connects: a
/// lower one is refused, a higher one ends every older writer. What raised the epoch is served only after the new one is on stable
/// storage and no request of an older writer is under way, in this order: else a crash in between would let the older one back in.
/// Within an epoch the same holds for its writer's connections: what a connection that was given up had sent may still arrive
/// (TCP sends it again after a silent cut), and would undo what a later connection has copied or written since.
/// </summary>
public sealed class LegGate
{
    private readonly bool keeps, keepsConnection;

    public LegGate(Epoch highest) : this(highest, true, true) { }

    /// <param name="keeps">False in tests alone: the leg takes whoever comes.</param>
    /// <param name="keepsConnection">False in tests alone: the leg takes every connection of its writer.</param>
    internal LegGate(Epoch highest, bool keeps, bool keepsConnection) => (Highest, this.keeps, this.keepsConnection) = (highest, keeps, keepsConnection);

    public Epoch Highest { get; private set; }

    /// <summary>The writer's newest connection for data; 0 before its first. Not kept on disk: connections end with the leg's server.</summary>
    public long Connection { get; private set; }

    /// <summary>Null: it may connect; else why not.</summary>
    /// <param name="connection">Grows with each connection for data of one epoch; 0 for one that only looks (or of a writer that numbers none).</param>
    /// <param name="raised">The epoch grew: persist <see cref="Highest"/>, then drain older writers, then serve.</param>
    public string? Admit(Epoch asked, long connection, out bool raised)
    {
        raised = asked > Highest;
        if (keeps && asked < Highest) return $"epoch {asked} is over: the leg was written under {Highest}";
        if (raised) (Highest, Connection) = (asked, connection);
        if (keepsConnection && connection != 0 && connection < Connection) return $"a newer connection of the writer under {asked} has come";
        Connection = Math.Max(Connection, connection);
        return null;
    }

    /// <summary>Whether a request of a writer that was let in under this epoch may still be carried out: a read, at least.</summary>
    public bool MayRead(Epoch under) => !keeps || under >= Highest;

    /// <summary>Whether a write that came over this connection may still be carried out.</summary>
    public bool MayWrite(Epoch under, long connection) => MayRead(under) && (!keepsConnection || under != Highest || connection >= Connection);
}
