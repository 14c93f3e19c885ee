using System.Buffers.Binary;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Evenkeel.Raid.Nbd;

/// <summary>What the handshake ended in.</summary>
internal sealed record NbdAgreement(Stream Stream, INbdExport Export, bool Structured, bool Allocation);

/// <summary>Fixed newstyle negotiation, server's side: options until the client takes an export or leaves.</summary>
internal sealed class NbdHandshake(IReadOnlyList<INbdExport> exports, NbdServerOptions options)
{
    private const int MaximumOptions = 1000;
    private Stream _stream = Stream.Null;
    private X509Certificate? _client;
    private bool _secure;
    private bool _structured;
    private string? _allocationFor;

    /// <summary>Null if the client left in good order.</summary>
    /// <exception cref="IOException">The client broke off or the protocol.</exception>
    public async Task<NbdAgreement?> NegotiateAsync(Stream stream, CancellationToken stop)
    {
        _stream = stream;
        var greeting = new byte[18];
        BinaryPrimitives.WriteUInt64BigEndian(greeting, NbdProtocol.Magic);
        BinaryPrimitives.WriteUInt64BigEndian(greeting.AsSpan(8), NbdProtocol.OptionMagic);
        BinaryPrimitives.WriteUInt16BigEndian(greeting.AsSpan(16), NbdProtocol.FixedNewstyle | NbdProtocol.NoZeroes);
        await _stream.WriteAsync(greeting, stop).ConfigureAwait(false);
        var answer = await ReadAsync(4, stop).ConfigureAwait(false);
        var flags = BinaryPrimitives.ReadUInt32BigEndian(answer);
        if ((flags & ~3u) != 0) throw new IOException($"Unknown client flags {flags:x}.");
        var zeroes = (flags & NbdProtocol.NoZeroes) == 0;

        for (var count = 0; count < MaximumOptions; count++)
        {
            var head = await ReadAsync(16, stop).ConfigureAwait(false);
            if (BinaryPrimitives.ReadUInt64BigEndian(head) != NbdProtocol.OptionMagic) throw new IOException("No option magic.");
            var option = (NbdOption)BinaryPrimitives.ReadUInt32BigEndian(head.AsSpan(8));
            var length = BinaryPrimitives.ReadUInt32BigEndian(head.AsSpan(12));
            if (length > NbdProtocol.MaximumOption) throw new IOException($"An option of {length} bytes is too long.");
            var data = await ReadAsync((int)length, stop).ConfigureAwait(false);

            if (options.Tls is not null && !_secure && option is not (NbdOption.StartTls or NbdOption.Abort))
            {
                if (option == NbdOption.ExportName) throw new IOException("EXPORT_NAME before TLS.");
                await ReplyAsync(option, NbdOptionReply.TlsRequired, "TLS is required", stop).ConfigureAwait(false);
                continue;
            }

            switch (option)
            {
                case NbdOption.Abort:
                    await ReplyAsync(option, NbdOptionReply.Ack, [], stop).ConfigureAwait(false);
                    return null;
                case NbdOption.ExportName:
                    var named = await FindAsync(Text(data), stop).ConfigureAwait(false) ?? throw new IOException("No such export."); // the protocol has no refusal here
                    await ExportNameAsync(named, zeroes, stop).ConfigureAwait(false);
                    return Agree(named);
                case NbdOption.Go or NbdOption.Info:
                    if (await InformAsync(option, data, stop).ConfigureAwait(false) is { } export && option == NbdOption.Go) return Agree(export);
                    break;
                case NbdOption.List:
                    await ListAsync(data, stop).ConfigureAwait(false);
                    break;
                case NbdOption.StartTls:
                    await StartTlsAsync(data, stop).ConfigureAwait(false);
                    break;
                case NbdOption.StructuredReply when data.Length == 0:
                    _structured = true;
                    await ReplyAsync(option, NbdOptionReply.Ack, [], stop).ConfigureAwait(false);
                    break;
                case NbdOption.ListMetaContext or NbdOption.SetMetaContext:
                    await MetaContextAsync(option, data, stop).ConfigureAwait(false);
                    break;
                case NbdOption.StructuredReply:
                    await ReplyAsync(option, NbdOptionReply.Invalid, "no data expected", stop).ConfigureAwait(false);
                    break;
                default:
                    await ReplyAsync(option, NbdOptionReply.Unsupported, "not supported", stop).ConfigureAwait(false);
                    break;
            }
        }

        throw new IOException("The client negotiates for ever.");
    }

    /// <summary>What the export can do, as transmission flags.</summary>
    internal static NbdTransmission FlagsOf(INbdExport export, bool structured)
    {
        var flags = NbdTransmission.HasFlags | NbdTransmission.Flush | NbdTransmission.Fua | NbdTransmission.Cache;
        flags |= export.IsReadOnly ? NbdTransmission.ReadOnly : NbdTransmission.WriteZeroes;
        if (export is { CanTrim: true, IsReadOnly: false }) flags |= NbdTransmission.Trim;
        if (export.FlushCoversAllConnections) flags |= NbdTransmission.MultiConnection;
        return structured ? flags | NbdTransmission.DontFragment : flags;
    }

    private static string Text(ReadOnlySpan<byte> bytes) => Encoding.UTF8.GetString(bytes);

    private NbdAgreement Agree(INbdExport export) => new(_stream, export, _structured, _structured && _allocationFor == export.Name);

    private INbdExport? Find(string name) =>
        exports.FirstOrDefault(export => export.Name == name && options.Authorise(_client, name))
        ?? (name.Length == 0 && exports.Count == 1 && options.Authorise(_client, exports[0].Name) ? exports[0] : null);

    private async Task<INbdExport?> FindAsync(string name, CancellationToken stop) =>
        Find(name) ?? (options.Admit is { } admit && options.Authorise(_client, name) ? await admit(_client, name, stop).ConfigureAwait(false) : null);

    private async Task ExportNameAsync(INbdExport export, bool zeroes, CancellationToken stop)
    {
        var reply = new byte[10 + (zeroes ? 124 : 0)];
        BinaryPrimitives.WriteInt64BigEndian(reply, export.Length);
        BinaryPrimitives.WriteUInt16BigEndian(reply.AsSpan(8), (ushort)FlagsOf(export, _structured));
        await _stream.WriteAsync(reply, stop).ConfigureAwait(false);
    }

    private async Task<INbdExport?> InformAsync(NbdOption option, byte[] data, CancellationToken stop)
    {
        if (!TryName(data, out var name, out var rest) || rest.Length < 2 || rest.Length != 2 + 2 * BinaryPrimitives.ReadUInt16BigEndian(rest.Span))
        {
            await ReplyAsync(option, NbdOptionReply.Invalid, "malformed", stop).ConfigureAwait(false);
            return null;
        }

        if (await FindAsync(name, stop).ConfigureAwait(false) is not { } export)
        {
            await ReplyAsync(option, NbdOptionReply.Unknown, "no such export", stop).ConfigureAwait(false);
            return null;
        }

        var info = new byte[12];
        BinaryPrimitives.WriteInt64BigEndian(info.AsSpan(2), export.Length);
        BinaryPrimitives.WriteUInt16BigEndian(info.AsSpan(10), (ushort)FlagsOf(export, _structured));
        await ReplyAsync(option, NbdOptionReply.Info, info, stop).ConfigureAwait(false);
        var sizes = new byte[14];
        BinaryPrimitives.WriteUInt16BigEndian(sizes, 3);
        BinaryPrimitives.WriteUInt32BigEndian(sizes.AsSpan(2), 512);
        BinaryPrimitives.WriteUInt32BigEndian(sizes.AsSpan(6), 4096);
        BinaryPrimitives.WriteUInt32BigEndian(sizes.AsSpan(10), NbdProtocol.MaximumPayload);
        await ReplyAsync(option, NbdOptionReply.Info, sizes, stop).ConfigureAwait(false);
        await ReplyAsync(option, NbdOptionReply.Info, [0, 2, .. Encoding.UTF8.GetBytes(export.Description)], stop).ConfigureAwait(false);
        await ReplyAsync(option, NbdOptionReply.Ack, [], stop).ConfigureAwait(false);
        return export;
    }

    private async Task ListAsync(byte[] data, CancellationToken stop)
    {
        if (data.Length != 0)
        {
            await ReplyAsync(NbdOption.List, NbdOptionReply.Invalid, "no data expected", stop).ConfigureAwait(false);
            return;
        }

        foreach (var export in exports.Where(export => options.Authorise(_client, export.Name)))
        {
            var name = Encoding.UTF8.GetBytes(export.Name);
            var entry = new byte[4 + name.Length];
            BinaryPrimitives.WriteInt32BigEndian(entry, name.Length);
            name.CopyTo(entry, 4);
            await ReplyAsync(NbdOption.List, NbdOptionReply.Server, [.. entry, .. Encoding.UTF8.GetBytes(export.Description)], stop).ConfigureAwait(false);
        }

        await ReplyAsync(NbdOption.List, NbdOptionReply.Ack, [], stop).ConfigureAwait(false);
    }

    private async Task StartTlsAsync(byte[] data, CancellationToken stop)
    {
        if (options.Tls is null || _secure || data.Length != 0)
        {
            await ReplyAsync(NbdOption.StartTls, options.Tls is null ? NbdOptionReply.Policy : NbdOptionReply.Invalid, "no TLS here", stop).ConfigureAwait(false);
            return;
        }

        await ReplyAsync(NbdOption.StartTls, NbdOptionReply.Ack, [], stop).ConfigureAwait(false);
        var secured = new SslStream(_stream);
        await secured.AuthenticateAsServerAsync(options.Tls, stop).ConfigureAwait(false);
        // What was agreed in plain could have been said by anyone.
        (_stream, _client, _secure, _structured, _allocationFor) = (secured, secured.RemoteCertificate, true, false, null);
    }

    private async Task MetaContextAsync(NbdOption option, byte[] data, CancellationToken stop)
    {
        if (!_structured || !TryName(data, out var name, out var rest) || !TryQueries(rest, out var queries))
        {
            await ReplyAsync(option, NbdOptionReply.Invalid, "malformed, or structured replies were not agreed", stop).ConfigureAwait(false);
            return;
        }

        if (option == NbdOption.SetMetaContext) _allocationFor = null;
        if (await FindAsync(name, stop).ConfigureAwait(false) is not { } export)
        {
            await ReplyAsync(option, NbdOptionReply.Unknown, "no such export", stop).ConfigureAwait(false);
            return;
        }

        var listed = option == NbdOption.ListMetaContext && (queries.Count == 0 || queries.Contains("base:"));
        if (listed || queries.Contains(NbdProtocol.BaseAllocation))
        {
            if (option == NbdOption.SetMetaContext) _allocationFor = export.Name;
            var context = new byte[4];
            BinaryPrimitives.WriteUInt32BigEndian(context, option == NbdOption.SetMetaContext ? NbdProtocol.BaseAllocationId : 0);
            await ReplyAsync(option, NbdOptionReply.MetaContext, [.. context, .. Encoding.UTF8.GetBytes(NbdProtocol.BaseAllocation)], stop).ConfigureAwait(false);
        }

        await ReplyAsync(option, NbdOptionReply.Ack, [], stop).ConfigureAwait(false);
    }

    private static bool TryName(ReadOnlyMemory<byte> data, out string name, out ReadOnlyMemory<byte> rest)
    {
        (name, rest) = ("", default);
        if (data.Length < 4) return false;
        var length = BinaryPrimitives.ReadUInt32BigEndian(data.Span);
        if (length > data.Length - 4) return false;
        name = Text(data.Span.Slice(4, (int)length));
        rest = data[(4 + (int)length)..];
        return true;
    }

    private static bool TryQueries(ReadOnlyMemory<byte> data, out List<string> queries)
    {
        queries = [];
        if (data.Length < 4) return false;
        var count = BinaryPrimitives.ReadUInt32BigEndian(data.Span);
        data = data[4..];
        for (; count > 0 && data.Length > 0; count--)
        {
            if (!TryName(data, out var query, out data)) return false;
            queries.Add(query);
        }

        return count == 0 && data.Length == 0;
    }

    private Task ReplyAsync(NbdOption option, NbdOptionReply type, string message, CancellationToken stop) =>
        ReplyAsync(option, type, Encoding.UTF8.GetBytes(message), stop);

    private async Task ReplyAsync(NbdOption option, NbdOptionReply type, byte[] data, CancellationToken stop)
    {
        var reply = new byte[20 + data.Length];
        BinaryPrimitives.WriteUInt64BigEndian(reply, NbdProtocol.OptionReplyMagic);
        BinaryPrimitives.WriteUInt32BigEndian(reply.AsSpan(8), (uint)option);
        BinaryPrimitives.WriteUInt32BigEndian(reply.AsSpan(12), (uint)type);
        BinaryPrimitives.WriteInt32BigEndian(reply.AsSpan(16), data.Length);
        data.CopyTo(reply, 20);
        await _stream.WriteAsync(reply, stop).ConfigureAwait(false);
    }

    private async Task<byte[]> ReadAsync(int length, CancellationToken stop)
    {
        var bytes = new byte[length];
        await _stream.ReadExactlyAsync(bytes, stop).ConfigureAwait(false);
        return bytes;
    }
}
