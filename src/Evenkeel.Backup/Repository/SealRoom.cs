namespace Evenkeel.Backup.Repository;

/// <summary>
/// Room for one blob on its way: kept and reused, each part as large as the largest blob it has seen. A shared pool would round
/// each up to the next power of two, and keep several of each size for every processor.
/// </summary>
internal sealed class SealRoom
{
    private const int Step = 64 << 10;
    private byte[] _sealed = [], _opened = [], _plain = [];

    public Span<byte> Sealed(int length) => Of(ref _sealed, length);

    public Span<byte> Opened(int length) => Of(ref _opened, length);

    public Span<byte> Plain(int length) => Of(ref _plain, length);

    private static Span<byte> Of(ref byte[] part, int length)
    {
        if (part.Length < length)
        {
            part = GC.AllocateUninitializedArray<byte>((length + Step - 1) / Step * Step);
        }
        return part.AsSpan(0, length);
    }
}
