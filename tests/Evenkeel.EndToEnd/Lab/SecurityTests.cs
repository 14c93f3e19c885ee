using System.Globalization;
using Evenkeel.Agent.Host;
using Evenkeel.Agent.Local;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>
/// The wall between the clients and the private networks, which stands or is built anew, and garbage at the guards. Who answers at which
/// port is <see cref="EveryPortTests"/>'s.
/// </summary>
[Trait("needs", "root")]
[Collection(WebCollection.Name)]
public sealed class SecurityTests(WebLab lab)
{
    private const int Door = 80, ServicePort = 5000;
    private static readonly NodeName node = new("n1");
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact, Trait("Turn", "3")]
    public async Task PublicSide_ReachesTheDoorsAndNothingElse()
    {
        await lab.RestoreAsync();
        var spec = lab.Cluster.Spec.Nodes[node];
        var ports = await ListeningAsync();
        Assert.Superset(new HashSet<int> { PrivatePorts.Peer, PrivatePorts.Desk, PrivatePorts.EtcdClient, PrivatePorts.EtcdPeer, ServicePort }, ports.ToHashSet());
        Assert.True(await ConnectsAsync("client", "203.0.113.10", Door));
        foreach (var port in ports.Except([Door])) Assert.False(await ConnectsAsync("client", "203.0.113.10", port), $"the virtual IP answers clients on port {port}");
        foreach (var port in ports) Assert.False(await ConnectsAsync("client", spec.Public!.ToString(), port), $"n1's public address answers clients on port {port}");
        // A client that knows where the private addresses are, and sends there by way of the public network.
        foreach (var address in spec.Private)
            await InAsync("client", "ip", "route", "replace", $"{address}/32", "dev", LabNetwork.PublicInterface);
        foreach (var (address, port) in spec.Private.SelectMany(address => ports.Select(port => (address, port))))
            Assert.False(await ConnectsAsync("client", address.ToString(), port), $"n1's private address {address} answers clients on port {port}");
        // It is the wall that keeps them out: where it does not stand, the same client is heard.
        var open = false;
        for (var attempt = 0; attempt < 3 && !open; attempt++) // It may be built anew in between.
        {
            await InAsync(node.Value, "nft", "delete", "table", "inet", "evenkeel_private");
            open = await ConnectsAsync("client", spec.Private[0].ToString(), ServicePort);
        }

        Assert.True(open);
        // The agent sees within seconds that it is gone.
        await Task.Delay(TimeSpan.FromSeconds(7), Token);
        Assert.False(await ConnectsAsync("client", spec.Private[0].ToString(), ServicePort));
        // One that starts finds it gone too.
        lab.Cluster.Kill(node);
        await InAsync(node.Value, "nft", "delete", "table", "inet", "evenkeel_private");
        await lab.RestoreAsync();
        Assert.False(await ConnectsAsync("client", spec.Private[0].ToString(), ServicePort));
    }

    [Fact]
    public async Task PublicSide_WhoPretendsToBePrivate_IsNotHeard()
    {
        await lab.RestoreAsync();
        var other = new NodeName("n2");
        var spec = lab.Cluster.Spec.Nodes[other];
        await InAsync("client", "ip", "address", "replace", "10.77.0.99/32", "dev", "lo");
        // Answers would find their way back: only the wall is in the way.
        await InAsync(other.Value, "ip", "route", "replace", "10.77.0.99/32", "via", await PublicAddressOfClientAsync());
        Assert.False(await ConnectsAsync("client", spec.Public!.ToString(), ServicePort, "10.77.0.99"));
        Assert.False(await ConnectsAsync("client", "203.0.113.10", Door, "10.77.0.99"));
        Assert.True(await ConnectsAsync("client", "203.0.113.10", Door));
    }

    [Fact]
    public async Task PrivateSide_GarbageToTheGuard_IsDropped()
    {
        await lab.RestoreAsync();
        var udp = await PortsAsync("-Hlnu");
        Assert.NotEmpty(udp);
        foreach (var port in udp)
            await SayAsync("n2", ["bash", "-c", "for i in $(seq 200); do head -c $i /dev/urandom >/dev/udp/$0/$1; done", lab.Cluster.Spec.Nodes[node].Private[0].ToString(), port.ToString(CultureInfo.InvariantCulture)]);
        await lab.WholeAsync();
    }

    private Task<IReadOnlyList<int>> ListeningAsync() => PortsAsync("-Hltn");

    private async Task<IReadOnlyList<int>> PortsAsync(string options) =>
        [.. (await InAsync(node.Value, "ss", options)).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[3])
            .Where(local => !local.StartsWith("127.", StringComparison.Ordinal)).Select(local => int.Parse(local[(local.LastIndexOf(':') + 1)..], CultureInfo.InvariantCulture)).Distinct().Order()];

    private async Task<string> PublicAddressOfClientAsync() =>
        (await InAsync("client", "ip", "-4", "-o", "address", "show", "dev", LabNetwork.PublicInterface)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[3].Split('/')[0];

    private async Task<bool> ConnectsAsync(string where, string address, int port, string? from = null)
    {
        var told = await SayAsync(where, ["curl", "-s", "-o", "/dev/null", "--connect-timeout", "1", "--max-time", "2", "-w", "%{time_connect}", .. from is null ? (string[])[] : ["--interface", from],
            string.Create(CultureInfo.InvariantCulture, $"http://{address}:{port}/healthz")]);
        return double.Parse(told, CultureInfo.InvariantCulture) > 0;
    }

    private async Task<string> SayAsync(string where, string[] command, string input = "")
    {
        using var process = Start(where, command);
        var (output, errors) = (process.StandardOutput.ReadToEndAsync(Token), process.StandardError.ReadToEndAsync(Token));
        await process.StandardInput.WriteAsync(input);
        await process.StandardInput.FlushAsync(Token);
        // Left open: s_client ends with its input, and the answer may come later than that.
        await process.WaitForExitAsync(Token);
        return await output + await errors;
    }

    private System.Diagnostics.Process Start(string where, string[] command) =>
        System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo("nsenter", [$"--net=/run/netns/{lab.Cluster.Network.Namespace(where)}", .. command])
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
        })!;

    private Task<string> InAsync(string where, params string[] command) =>
        SystemCommand.RunAsync(["nsenter", $"--net=/run/netns/{lab.Cluster.Network.Namespace(where)}", .. command], Token);
}
