using Evenkeel.Raid.Array;

namespace Evenkeel.Raid.PartialParity;

/// <summary>
/// Closes RAID 5's write hole: before a row is written, what its parity can be made good from is durable in the log of the member that
/// holds that parity. A log has room for one header, so writes go in batches: while one batch is under way, later writes wait and then
/// share the next header. A header is overwritten only after all that it describes is durable.
/// </summary>
internal sealed class PartialParityLog
{
    private readonly SlotLog[] _logs;

    public PartialParityLog(ArrayMetadata metadata, Guid array) =>
        _logs = [.. Enumerable.Range(0, metadata.Geometry.Members).Select(slot => new SlotLog(metadata, slot, LogHeader.SignatureOf(array)))];

    /// <summary>Returns once the entries are durable (or the parity's member is lost, and with it the need); <see cref="Leave"/> must follow.</summary>
    /// <param name="slot">The slot that holds the row's parity.</param>
    /// <param name="entries">At most three: see <see cref="RowWrite.Segments"/>.</param>
    /// <param name="partial">The entries' partial parities, in their order. Must not change until the call returns.</param>
    public Task EnterAsync(int slot, IReadOnlyList<LogEntry> entries, ReadOnlyMemory<byte> partial) => _logs[slot].EnterAsync(entries, partial);

    /// <summary>The row's data and parity have been written to every working member.</summary>
    public void Leave(int slot) => _logs[slot].Leave();
}
