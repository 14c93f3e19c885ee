using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Evenkeel.EndToEnd.Guard;

namespace Evenkeel.EndToEnd.Fencing;

/// <summary>
/// A node that can be cut off for real: a network namespace with processes in it, and the part of Docker's HTTP API that the
/// stock agent <c>fence_docker</c> speaks, whose <c>kill</c> ends every process of that namespace.
/// </summary>
internal sealed class NamespaceNode : IDisposable
{
    private static int counter;
    private readonly TcpListener _api;
    private readonly X509Certificate2 _certificate;
    private readonly List<Process> _processes = [];
    private readonly string _name = string.Create(CultureInfo.InvariantCulture, $"ekf{Environment.ProcessId}x{Interlocked.Increment(ref counter)}");

    public NamespaceNode(int port)
    {
        Port = port;
        Run("netns", "add", _name);
        for (var i = 0; i < 2; i++) _processes.Add(Process.Start("ip", ["netns", "exec", _name, "sleep", "600"]));
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        _certificate = new CertificateRequest("CN=device", key, HashAlgorithmName.SHA256).CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        _api = new TcpListener(IPAddress.Loopback, port);
        _api.Start();
        _ = ServeAsync();
    }

    public int Port { get; }
    public string Name => _name;
    /// <summary>The device says yes and does nothing, as one whose cable goes to another node.</summary>
    public bool Lies { get; set; }
    public bool Lives => _processes.Exists(process => !process.HasExited);

    public void AwaitProcesses()
    {
        // `ip netns exec` becomes the command once it has entered the namespace.
        var clock = Stopwatch.StartNew();
        while (Members().Count < _processes.Count && clock.Elapsed < TimeSpan.FromSeconds(10)) Thread.Yield();
    }

    public void Dispose()
    {
        _api.Dispose();
        _certificate.Dispose();
        Kill();
        foreach (var process in _processes) process.Dispose();
        Run("netns", "del", _name);
    }

    private async Task ServeAsync()
    {
        try
        {
            while (true) _ = AnswerAsync(await _api.AcceptTcpClientAsync());
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // Closed.
        }
    }

    // One request a connection: /v1.11/containers/json, /v1.11/containers/NAME/json, POST /v1.11/containers/NAME/kill.
    private async Task AnswerAsync(TcpClient client)
    {
        using var owned = client;
        try
        {
            await using var stream = new SslStream(client.GetStream());
            await stream.AuthenticateAsServerAsync(_certificate);
            using var reader = new StreamReader(stream, Encoding.ASCII);
            var path = (await reader.ReadLineAsync())!.Split(' ')[1].Split('?')[0];
            while (await reader.ReadLineAsync() is { Length: > 0 }) { }
            if (path.EndsWith("/kill", StringComparison.Ordinal) && !Lies) Kill();
            var running = Members().Count > 0;
            var body = path.EndsWith("/kill", StringComparison.Ordinal) ? "{}"
                : path.EndsWith("/containers/json", StringComparison.Ordinal) ? $$"""[{"Id":"{{_name}}","Names":["/{{_name}}"],"Status":"{{(running ? "Up" : "Exited")}}"}]"""
                : $$$"""{"State":{"Running":{{{(running ? "true" : "false")}}}}}""";
            await stream.WriteAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\nConnection: close\r\n\r\n{body}"));
        }
        catch (Exception exception) when (exception is IOException or SocketException or System.Security.Authentication.AuthenticationException)
        {
            // The agent has gone.
        }
    }

    private void Kill()
    {
        foreach (var member in Members()) GuardedNode.Signal(member, "KILL");
        foreach (var process in _processes) process.WaitForExit(5000);
    }

    private List<int> Members() =>
        [.. Run("netns", "pids", _name).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => int.Parse(line, CultureInfo.InvariantCulture))];

    private static string Run(params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo("ip", arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var text = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return text;
    }
}
