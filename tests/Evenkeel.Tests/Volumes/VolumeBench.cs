using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Evenkeel.Agent.Volumes;
using Evenkeel.Core.Model;
using Evenkeel.Core.Volumes;
using Evenkeel.Raid.Devices;
using Evenkeel.Raid.Nbd;
using Xunit;

namespace Evenkeel.Tests.Volumes;

/// <summary>Legs and writers of one volume in this process, on loopback addresses of their own, without mounts: the tests are the cluster.</summary>
internal sealed class VolumeBench : IAsyncDisposable
{
    public const string Volume = "files";
    public const long Size = 32 << 20;
    private static int s_network = 10;
    private readonly Dictionary<string, (CancellationTokenSource Stop, Task Task)> _running = [];
    private readonly int _network = Interlocked.Increment(ref s_network);

    public VolumeBench(int legs, int level = 1, TimeSpan? timeout = null)
    {
        Root = Directory.CreateTempSubdirectory("ek-vol-").FullName;
        Spec = new VolumeSpec
        {
            Name = Volume, Level = level, Size = Size, Port = 7833, LegTimeout = timeout ?? TimeSpan.FromSeconds(1),
            Legs = [.. Enumerable.Range(1, legs).Select(i => new VolumeLeg(new NodeName($"n{i}"), Path.Combine(Root, $"n{i}.img")))],
        };
    }

    public string Root { get; }
    public VolumeSpec Spec { get; }
    public IReadOnlyList<NodeName> Nodes => [.. Spec.Legs.Select(leg => leg.Node)];
    public List<string> Said { get; } = [];

    /// <summary>A node's certificate directory; null: without TLS.</summary>
    public Func<NodeName, string?> CertificatesOf { get; init; } = _ => null;

    public string AddressOf(NodeName node) => $"127.79.{_network}.{node.Value[1..]}";

    public void StartLeg(NodeName node)
    {
        var settings = new LegSettings(Volume, Spec.Legs.First(leg => leg.Node == node).Path, Size + (8 << 20), [AddressOf(node)], Spec.Port, LegSocket(node), Path.Combine(Root, $"{node}.leg"), CertificatesOf(node));
        Run($"leg {node}", async stop =>
        {
            var leg = LegProcess.RunAsync(settings, Log, stop);
            using var agent = CertificatesOf(node) is null ? null : await TellAsync(settings.ControlSocket, new LegOrder(null, Nodes), stop);
            await leg;
        });
    }

    /// <summary>A leg that answers whoever looks at it, and fails every write; or refuses connections from the first for data on.</summary>
    public async Task<NbdServer> StartFaultyLegAsync(NodeName node, bool refuses)
    {
        var path = Spec.Legs.First(leg => leg.Node == node).Path;
        await using (await LegDesk.OpenAsync(new LegSettings(Volume, path, Size + (8 << 20), [], Spec.Port, "", "", null))) { }
        var (file, refused) = (FileDevice.Open(path, readOnly: true), false);
        return NbdServer.Start(new IPEndPoint(IPAddress.Parse(AddressOf(node)), Spec.Port), [], new NbdServerOptions
        {
            Admit = (_, name, _) =>
            {
                Assert.True(LegName.TryParse(name, out _, out _, out var connection, out _));
                refused |= refuses && connection != 0;
                return Task.FromResult(refused ? null : (INbdExport)new FaultyLeg(name, file));
            },
        });
    }

    private sealed class FaultyLeg(string name, FileDevice file) : INbdExport
    {
        public string Name => name;
        public string Description => "fails every write";
        public long Length => file.Length;
        public bool IsReadOnly => false;
        public bool FlushCoversAllConnections => true;
        public bool CanTrim => false;
        public ValueTask ReadAsync(long offset, Memory<byte> buffer) => file.ReadAsync(offset, buffer);
        public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer) => throw new IOException("the disk is gone");
        public ValueTask FlushAsync() => default;
        public ValueTask TrimAsync(long offset, long length) => default;
    }

    /// <summary>Does what the leg's agent does: says who may write. To be kept until the leg ends.</summary>
    public static async Task<Socket> TellAsync(string control, LegOrder order, CancellationToken stop)
    {
        while (true)
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            try
            {
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(control), stop);
                await socket.SendAsync((byte[])[.. JsonSerializer.SerializeToUtf8Bytes(order, VolumeJson.Default.LegOrder), (byte)'\n'], stop);
                return socket;
            }
            catch (SocketException)
            {
                socket.Dispose();
                await Task.Delay(20, stop); // It is about to listen.
            }
        }
    }

    public Task StopLegAsync(NodeName node) => StopAsync($"leg {node}");

    public WriterLink StartWriter(NodeName node, Epoch epoch, IReadOnlyList<NodeName> required, string? data = null)
    {
        var control = Path.Combine(Root, $"{node}.{epoch}.writer");
        var export = Path.Combine(Root, $"{node}.{epoch}.array");
        var settings = new WriterSettings(Spec, node, epoch, data is null, data, null, [.. Nodes.Select(leg => new LegPlace(leg, [AddressOf(leg)]))],
            LegSocket(node), control, export, Path.Combine(Root, $"{node}.img.fuse"), CertificatesOf(node));
        Run($"writer {node} {epoch}", async stop => { if (await WriterProcess.RunAsync(settings, Log, stop) is { } failure) Log($"writer {node} {epoch} ended: {failure}"); });
        return new WriterLink(control, export, epoch, required);
    }

    public Task StopWriterAsync(NodeName node, Epoch epoch) => StopAsync($"writer {node} {epoch}");

    public void Log(string line)
    {
        lock (Said) Said.Add(line);
    }

    public bool Has(string words)
    {
        lock (Said) return Said.Any(line => line.Contains(words, StringComparison.Ordinal));
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var one in _running.Values) await one.Stop.CancelAsync();
        foreach (var one in _running.Values) await one.Task.WaitAsync(TimeSpan.FromSeconds(5)).ContinueWith(_ => { }, TaskScheduler.Default);
        lock (Said) foreach (var line in Said) TestContext.Current.TestOutputHelper?.WriteLine(line);
        Directory.Delete(Root, recursive: true);
    }

    private string LegSocket(NodeName node) => Path.Combine(Root, $"{node}.nbd");

    private void Run(string name, Func<CancellationToken, Task> body)
    {
        var stop = new CancellationTokenSource();
        _running[name] = (stop, Task.Run(() => body(stop.Token)));
    }

    private async Task StopAsync(string name)
    {
        var (stop, task) = _running[name];
        _running.Remove(name);
        await stop.CancelAsync();
        await task.WaitAsync(TimeSpan.FromSeconds(20));
    }
}

/// <summary>The cluster's end of a writer: says whom it must wait for, hears what it reports.</summary>
internal sealed class WriterLink : IAsyncDisposable
{
    private readonly string _control;
    private readonly string _export;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _hearing;
    private WriterOrder _order;
    private NetworkStream? _stream;

    public WriterLink(string control, string export, Epoch epoch, IReadOnlyList<NodeName> required)
    {
        (_control, _export, _order) = (control, export, new WriterOrder { Epoch = epoch, Required = required });
        _hearing = Task.Run(HearAsync);
    }

    public WriterReport? Report { get; private set; }

    public void Require(params NodeName[] legs) => Order(_order with { Required = legs });

    public void Order(WriterOrder order)
    {
        _order = order;
        Say();
    }

    public WriterOrder LastOrder => _order;

    public async Task<WriterReport> UntilAsync(Func<WriterReport, bool> holds, string what, int seconds = 60)
    {
        for (var until = DateTime.UtcNow.AddSeconds(seconds); ; await Task.Delay(10, TestContext.Current.CancellationToken))
        {
            if (Report is { } report && holds(report)) return report;
            Assert.True(DateTime.UtcNow < until, $"not in time: {what}; the writer said last: {JsonSerializer.Serialize(Report, VolumeJson.Default.WriterReport)}");
        }
    }

    public Task<NbdClient> OpenAsync(TimeSpan? deadline = null) =>
        NbdClient.ConnectAsync($"nbd+unix:///{VolumeBench.Volume}?socket={Uri.EscapeDataString(_export)}", new NbdClientOptions { Deadline = deadline ?? TimeSpan.FromSeconds(20) });

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _hearing;
    }

    private void Say()
    {
        try
        {
            _stream?.Write([.. JsonSerializer.SerializeToUtf8Bytes(_order, VolumeJson.Default.WriterOrder), (byte)'\n']);
        }
        catch (Exception gone) when (gone is IOException or ObjectDisposedException)
        {
            // Said again at the next connection.
        }
    }

    private async Task HearAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(_control), _stop.Token);
                await using var stream = new NetworkStream(socket);
                _stream = stream;
                Say();
                using var reader = new StreamReader(stream, Encoding.UTF8);
                while (await reader.ReadLineAsync(_stop.Token) is { } line) Report = JsonSerializer.Deserialize(line, VolumeJson.Default.WriterReport);
            }
            catch (Exception gone) when (gone is IOException or SocketException or OperationCanceledException)
            {
                // Not there yet, or no longer.
            }

            await Task.Delay(20, _stop.Token).ContinueWith(_ => { }, TaskScheduler.Default);
        }
    }
}
