namespace Evenkeel.Raid.Superblock;

/// <summary>Bits of the superblock's <c>feature_map</c> (Linux <c>md_p.h</c>).</summary>
[Flags]
public enum MdFeatures : uint
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>A write-intent bitmap lies at <c>bitmap_offset</c>.</summary>
    Bitmap = 1,

    /// <summary>This member is being rebuilt and valid up to <c>recovery_offset</c>.</summary>
    RecoveryOffset = 2,

    /// <summary>A reshape is under way.</summary>
    Reshape = 4,

    /// <summary>The bad-block log holds entries.</summary>
    BadBlocks = 8,

    /// <summary>This member is to replace the one in its slot.</summary>
    Replacement = 16,

    /// <summary>A reshape runs from the end.</summary>
    ReshapeBackwards = 32,

    /// <summary>A reshape moves the data offset.</summary>
    NewOffset = 64,

    /// <summary>The rebuild of this member copies only what the bitmap names.</summary>
    RecoveryBitmap = 128,

    /// <summary>A clustered array.</summary>
    Clustered = 256,

    /// <summary>RAID 4/5/6 with a journal device.</summary>
    Journal = 512,

    /// <summary>RAID 5 with a partial parity log.</summary>
    PartialParityLog = 1024,

    /// <summary>The same, in several places of the log by turns: what the kernel makes of a large one.</summary>
    MultiplePartialParityLogs = 2048,

    /// <summary>RAID 0 names the layout of its unequal zones.</summary>
    Raid0Layout = 4096,

    /// <summary>Either kind of partial parity log.</summary>
    AnyPartialParityLog = PartialParityLog | MultiplePartialParityLogs,

    /// <summary>What this implementation understands.</summary>
    Supported = Bitmap | RecoveryOffset | BadBlocks | Replacement | RecoveryBitmap | AnyPartialParityLog | Raid0Layout,
}
