using System.Runtime.CompilerServices;
using Evenkeel.Raid.Devices;

namespace Evenkeel.Raid.Nbd;

/// <summary>
/// An export of another server as a member. Requests have deadlines; a lost connection is made anew by the next request. Writes that the
/// lost connection had acknowledged but not flushed may be gone with the server's cache: the next flush says so by failing once.
/// </summary>
public sealed class NbdClient : IMemberDevice
{
    private readonly NbdAddress _address;
    private readonly NbdClientOptions _options;
    private readonly SemaphoreSlim _connecting = new(1, 1);
    private readonly CancellationTokenSource _closing = new();
    private volatile NbdConnection _connection;
    private long _unflushed;
    private int _lost;

    private NbdClient(NbdAddress address, NbdClientOptions options, string name, NbdConnection connection) =>
        (_address, _options, Name, _connection, Length) = (address, options, name, connection, connection.Length);

    public string Name { get; }

    public long Length { get; }

    /// <summary>Connects.</summary>
    /// <exception cref="FormatException">The URI is not one.</exception>
    /// <exception cref="IOException">The server cannot be reached in time, or refuses.</exception>
    public static async Task<NbdClient> ConnectAsync(string uri, NbdClientOptions? options = null)
    {
        options ??= new NbdClientOptions();
        var address = NbdAddress.Parse(uri);
        using var deadline = new CancellationTokenSource(options.ConnectDeadline ?? options.Deadline);
        return new NbdClient(address, options, uri, await NbdConnection.OpenAsync(address, options, deadline.Token).ConfigureAwait(false));
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask ReadAsync(long offset, Memory<byte> buffer)
    {
        while (buffer.Length > 0)
        {
            var part = Math.Min(buffer.Length, NbdProtocol.MaximumPayload);
            await RequestAsync(NbdCommand.Read, offset, part, default, buffer[..part]).ConfigureAwait(false);
            (offset, buffer) = (offset + part, buffer[part..]);
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer)
    {
        Interlocked.Increment(ref _unflushed);
        while (buffer.Length > 0)
        {
            var part = Math.Min(buffer.Length, NbdProtocol.MaximumPayload);
            await RequestAsync(NbdCommand.Write, offset, part, buffer[..part], default).ConfigureAwait(false);
            (offset, buffer) = (offset + part, buffer[part..]);
        }
    }

    public bool CanDiscard => (_connection.Flags & NbdTransmission.Trim) != 0;

    public async ValueTask ZeroAsync(long offset, long length)
    {
        if ((_connection.Flags & NbdTransmission.WriteZeroes) == 0)
        {
            await Zeros.WriteAsync(this, offset, length).ConfigureAwait(false);
            return;
        }

        Interlocked.Increment(ref _unflushed);
        while (length > 0)
        {
            var part = (int)Math.Min(length, 1 << 30);
            await RequestAsync(NbdCommand.WriteZeroes, offset, part, default, default).ConfigureAwait(false);
            (offset, length) = (offset + part, length - part);
        }
    }

    public async ValueTask FlushAsync()
    {
        var covered = Interlocked.Read(ref _unflushed);
        if ((_connection.Flags & NbdTransmission.Flush) != 0) await RequestAsync(NbdCommand.Flush, 0, 0, default, default).ConfigureAwait(false);
        if (Interlocked.Exchange(ref _lost, 0) != 0) throw new IOException($"{Name}: the connection was lost with unflushed writes.");
        Interlocked.Add(ref _unflushed, -covered);
    }

    public async ValueTask DisposeAsync()
    {
        // Nobody connects any more, and who was about to gives up.
        await _closing.CancelAsync().ConfigureAwait(false);
        await _connecting.WaitAsync().ConfigureAwait(false);
        await _connection.DisposeAsync().ConfigureAwait(false);
        _connecting.Release();
    }

    private ValueTask RequestAsync(NbdCommand command, long offset, int length, ReadOnlyMemory<byte> payload, Memory<byte> target)
    {
        var connection = _connection;
        return connection.HasFailed && _options.Reconnects
            ? RequestAnewAsync(command, offset, length, payload, target)
            : connection.RequestAsync(command, offset, length, payload, target);
    }

    private async ValueTask RequestAnewAsync(NbdCommand command, long offset, int length, ReadOnlyMemory<byte> payload, Memory<byte> target)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(_closing.Token);
        deadline.CancelAfter(_options.Deadline);
        try
        {
            var connection = await ReconnectAsync(deadline.Token).ConfigureAwait(false);
            await connection.RequestAsync(command, offset, length, payload, target).ConfigureAwait(false);
        }
        catch (OperationCanceledException e)
        {
            throw new IOException(_closing.IsCancellationRequested ? $"{Name}: it was closed." : $"{Name}: not connected in time.", e);
        }
    }

    private async Task<NbdConnection> ReconnectAsync(CancellationToken stop)
    {
        await _connecting.WaitAsync(stop).ConfigureAwait(false);
        try
        {
            if (!_connection.HasFailed) return _connection;
            if (Interlocked.Read(ref _unflushed) > 0) Interlocked.Exchange(ref _lost, 1);
            var next = await NbdConnection.OpenAsync(_address, _options, stop).ConfigureAwait(false);
            if (next.Length != Length)
            {
                await next.DisposeAsync().ConfigureAwait(false);
                throw new IOException($"{Name}: the export's size changed from {Length} to {next.Length}.");
            }

            await _connection.DisposeAsync().ConfigureAwait(false);
            return _connection = next;
        }
        finally
        {
            _connecting.Release();
        }
    }
}
