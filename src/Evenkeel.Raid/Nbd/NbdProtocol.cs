namespace Evenkeel.Raid.Nbd;

/// <summary>Numbers of the NBD protocol (github.com/NetworkBlockDevice/nbd, doc/proto.md). All fields are big-endian.</summary>
internal static class NbdProtocol
{
    public const ulong Magic = 0x4e42444d41474943;
    public const ulong OptionMagic = 0x49484156454f5054;
    public const ulong OptionReplyMagic = 0x0003e889045565a9;
    public const uint RequestMagic = 0x25609513;
    public const uint SimpleReplyMagic = 0x67446698;
    public const uint StructuredReplyMagic = 0x668e33ef;
    public const int RequestBytes = 28;

    public const ushort FixedNewstyle = 1;
    public const ushort NoZeroes = 2;

    /// <summary>What a client may ask for in one read or write; what nbdkit and qemu-nbd take too.</summary>
    public const int MaximumPayload = 32 * 1024 * 1024;

    /// <summary>What an option may carry: a name of 4096 bytes and some queries.</summary>
    public const int MaximumOption = 16 * 1024;

    /// <summary>The only metadata context served.</summary>
    public const string BaseAllocation = "base:allocation";
    public const uint BaseAllocationId = 1;
}

internal enum NbdOption : uint
{
    ExportName = 1, Abort = 2, List = 3, StartTls = 5, Info = 6, Go = 7, StructuredReply = 8, ListMetaContext = 9, SetMetaContext = 10,
}

internal enum NbdOptionReply : uint
{
    Ack = 1, Server = 2, Info = 3, MetaContext = 4,
    Unsupported = 0x80000001, Policy = 0x80000002, Invalid = 0x80000003, TlsRequired = 0x80000005, Unknown = 0x80000006, TooBig = 0x80000009,
}

[Flags]
internal enum NbdTransmission : ushort
{
    HasFlags = 1, ReadOnly = 2, Flush = 4, Fua = 8, Trim = 32, WriteZeroes = 64, DontFragment = 128, MultiConnection = 256, Cache = 1024,
}

internal enum NbdCommand : ushort
{
    Read = 0, Write = 1, Disconnect = 2, Flush = 3, Trim = 4, Cache = 5, WriteZeroes = 6, BlockStatus = 7,
}

[Flags]
internal enum NbdCommandFlags : ushort
{
    None = 0, Fua = 1, NoHole = 2, DontFragment = 4, RequestOne = 8, FastZero = 16,
}

internal enum NbdChunk : ushort
{
    None = 0, OffsetData = 1, BlockStatus = 5, Error = 0x8001,
}

internal enum NbdError : uint
{
    None = 0, NotPermitted = 1, Io = 5, Invalid = 22, NoSpace = 28, NotSupported = 95, Shutdown = 108,
}
