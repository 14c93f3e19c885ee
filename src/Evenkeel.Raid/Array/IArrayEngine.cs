namespace Evenkeel.Raid.Array;

/// <summary>What a region of redundancy needs done.</summary>
internal enum SyncKind
{
    /// <summary>Compare only.</summary>
    Check,

    /// <summary>Make the redundancy agree with the data.</summary>
    Repair,

    /// <summary>Fill in what members that are being rebuilt lack.</summary>
    Rebuild,
}

/// <summary>How data become blocks on members: one for mirrors and stripes, one for parity. Array sectors in and out, whole sectors only.</summary>
internal interface IArrayEngine
{
    /// <summary>Regions of at most this many sync sectors are handled in one step.</summary>
    long SyncStep { get; }

    ValueTask ReadAsync(long sector, Memory<byte> buffer);

    /// <summary>Returns when every working member has it (not necessarily durably).</summary>
    ValueTask WriteAsync(long sector, ReadOnlyMemory<byte> buffer);

    /// <summary>Makes sectors read as zeros; else like a write.</summary>
    ValueTask ZeroAsync(long sector, long count);

    /// <summary>Works on one region of sync space and returns how many sectors (in steps of eight, as md counts) disagreed.</summary>
    ValueTask<long> SyncAsync(long syncSector, long count, SyncKind kind);
}
