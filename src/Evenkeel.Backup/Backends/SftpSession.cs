using System.Buffers.Binary;
using System.Diagnostics;
using System.Text;

namespace Evenkeel.Backup.Backends;

/// <summary>What an SFTP server says about a file.</summary>
internal readonly record struct SftpAttributes(long Size, bool IsDirectory);

/// <summary>
/// SFTP version 3 over the system's own <c>ssh</c>: its configuration, known hosts, agent and jump hosts all hold. Requests carry
/// numbers, so many may be under way; each answer finds its asker. Safe for concurrent use.
/// </summary>
/// <remarks>Source: draft-ietf-secsh-filexfer-02, and OpenSSH's PROTOCOL for <c>posix-rename</c> and <c>fsync</c>.</remarks>
internal sealed class SftpSession : IAsyncDisposable
{
    private const int LongestPacket = 512 << 10;
    private readonly Process _process;
    private readonly Stream _input;
    // Never disposed: whoever waits for it then would wait for ever.
    private readonly SemaphoreSlim _writing = new(1);
    private readonly Dictionary<uint, TaskCompletionSource<SftpPacket>> _waiting = [];
    private readonly Lock _gate = new();
    private readonly TaskCompletionSource<SftpPacket> _version = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Task<string> _error;
    private readonly HashSet<string> _extensions = [];
    private Task _reading = Task.CompletedTask;
    private uint _next;
    private RepositoryException? _broken;

    private SftpSession(Process process)
    {
        _process = process;
        _input = process.StandardInput.BaseStream;
        _error = process.StandardError.ReadToEndAsync();
    }

    /// <summary>Starts a program that speaks SFTP on its standard streams, and greets.</summary>
    public static async Task<SftpSession> StartAsync(string program, IReadOnlyList<string> arguments, CancellationToken cancellation)
    {
        Process process;
        try
        {
            process = Process.Start(new ProcessStartInfo(program, arguments)
            {
                RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
            })!;
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new RepositoryException(RepositoryError.Unavailable, $"{program} cannot be started: {e.Message}", e);
        }
        var session = new SftpSession(process);
        session._reading = Task.Run(session.ReadAnswersAsync, CancellationToken.None);
        await session.SendAsync(new SftpWriter(SftpType.Init).Add(3u).ToArray(), cancellation).ConfigureAwait(false);
        var version = await session._version.Task.WaitAsync(cancellation).ConfigureAwait(false);
        var reader = version.Reader();
        if (reader.UInt32() < 3)
        {
            throw new RepositoryException(RepositoryError.UnknownFormat, "the SFTP server is older than version 3");
        }
        while (!reader.AtEnd)
        {
            session._extensions.Add(Encoding.UTF8.GetString(reader.Bytes()));
            reader.Bytes();
        }
        return session;
    }

    /// <summary>Whether the server has an extension.</summary>
    public bool Has(string extension) => _extensions.Contains(extension);

    /// <summary>Whether the connection is lost: nothing more will be answered.</summary>
    public bool IsBroken
    {
        get
        {
            lock (_gate)
            {
                return _broken is not null;
            }
        }
    }

    /// <summary>Sends a request and returns its answer; a failure status becomes an exception.</summary>
    public async Task<SftpPacket> AskAsync(SftpType type, Action<SftpWriter> fill, string what, CancellationToken cancellation)
    {
        var answer = new TaskCompletionSource<SftpPacket>(TaskCreationOptions.RunContinuationsAsynchronously);
        uint id;
        lock (_gate)
        {
            if (_broken is { } broken)
            {
                throw new RepositoryException(broken.Error, broken.Message, broken);
            }
            id = _next++;
            _waiting.Add(id, answer);
        }
        var writer = new SftpWriter(type).Add(id);
        fill(writer);
        await SendAsync(writer.ToArray(), cancellation).ConfigureAwait(false);
        var packet = await answer.Task.WaitAsync(cancellation).ConfigureAwait(false);
        return packet.Type == SftpType.Status ? SftpStatus.Check(packet, what) : packet;
    }

    public async ValueTask DisposeAsync()
    {
        _input.Close();
        await _reading.ConfigureAwait(false);
        await _process.WaitForExitAsync().ConfigureAwait(false);
        _process.Dispose();
    }

    private async Task SendAsync(byte[] packet, CancellationToken cancellation)
    {
        await _writing.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            // Half a packet would garble all that follow, so a started one is finished.
            await _input.WriteAsync(packet, CancellationToken.None).ConfigureAwait(false);
            await _input.FlushAsync(CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            // ssh ended; the reader tells every asker why
        }
        finally
        {
            _writing.Release();
        }
    }

    private async Task ReadAnswersAsync()
    {
        var output = _process.StandardOutput.BaseStream;
        var head = new byte[4];
        try
        {
            while (true)
            {
                await output.ReadExactlyAsync(head).ConfigureAwait(false);
                var length = BinaryPrimitives.ReadUInt32BigEndian(head);
                if (length is < 1 or > LongestPacket)
                {
                    throw new InvalidDataException("what the SFTP server sends is no SFTP; does its shell print a greeting?");
                }
                var body = new byte[length];
                await output.ReadExactlyAsync(body).ConfigureAwait(false);
                var packet = new SftpPacket(body);
                TaskCompletionSource<SftpPacket>? asker = _version;
                lock (_gate)
                {
                    if (packet.Type != SftpType.Version)
                    {
                        _waiting.Remove(packet.Id, out asker);
                    }
                }
                asker?.TrySetResult(packet);
            }
        }
        catch (Exception e) when (e is IOException or InvalidDataException)
        {
            await BreakAsync(e).ConfigureAwait(false);
        }
    }

    private async Task BreakAsync(Exception reason)
    {
        if (reason is InvalidDataException)
        {
            _process.Kill();
        }
        var said = (await _error.ConfigureAwait(false)).Trim();
        var broken = new RepositoryException(RepositoryError.Unavailable,
            reason is InvalidDataException ? reason.Message : $"the SFTP connection ended{(said.Length > 0 ? ": " + said : "")}", reason);
        List<TaskCompletionSource<SftpPacket>> askers;
        lock (_gate)
        {
            _broken = broken;
            askers = [.. _waiting.Values, _version];
            _waiting.Clear();
        }
        askers.ForEach(a => a.TrySetException(broken));
        // Nobody may be waiting for the greeting any more.
        _ = _version.Task.Exception;
    }
}
