using System.Net;
using Evenkeel.Agent.Control;
using Evenkeel.Agent.Local;
using Evenkeel.Core.Model;
using Evenkeel.Guard.Enforcement.VirtualIp;
using Xunit;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>
/// After a heal the network may have forgotten, or never have learnt, where the virtual IPs are: their owner says so again, unasked, by
/// gratuitous ARP (RFC 5227) and unsolicited neighbour advertisements (RFC 4861). Heard on the wire, from among the clients.
/// </summary>
[Collection(DualStackCollection.Name)]
[Trait("needs", "root")]
public sealed class AnnouncementTests(DualStackLab lab, ITestOutputHelper output)
{
    // The longest pause of a new owner's announcements is 3 s; from then on there is one in 30 s.
    private static readonly TimeSpan quiet = TimeSpan.FromSeconds(4);
    // Longer than the second of silence after which a peer that is heard again is news.
    private static readonly TimeSpan cut = TimeSpan.FromSeconds(1.5);
    // Within seconds: not those of every 30.
    private const int Several = 4;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("public cable out for a moment")]
    [InlineData("peer cut off")]
    public Task Owner_AfterAHeal_AnnouncesBothFamiliesAgain(string fault) => lab.PlayAsync(async () =>
    {
        var owner = await lab.OwnerAsync("four", _ => true);
        using var ears = new Ears(lab.Client, await lab.HardwareOf(owner), IPAddress.Parse(DualStackLab.Four), IPAddress.Parse(DualStackLab.Six));
        var deadline = NamespaceLab.Deadline();
        while (ears.Silence < quiet) await Task.Delay(100, deadline);
        if (fault == "peer cut off")
        {
            var other = await lab.OwnerAsync("other", _ => true);
            var bystander = lab.Cluster.Spec.Nodes.Keys.First(node => node != owner && node != other);
            await lab.Cluster.Network.SilentCutAsync(bystander, LabLink.Private, oneWay: false, deaf: false, Token);
            while ((await ControlCalls.StatusAsync(LocalPaths.ControlSocket(lab.Cluster.Spec.Cluster, owner.Value), deadline))?.Nodes.Single(node => node.Name == bystander).Reach != Reach.Lost) await Task.Delay(20, deadline);
            await Task.Delay(cut, Token);
            ears.Forget();
            await lab.Cluster.Network.HealAsync(bystander, LabLink.Private, Token);
        }
        else
        {
            ears.Forget();
            await lab.Cluster.Network.CutAsync(owner, LabLink.Public, Token);
            await lab.Cluster.Network.HealAsync(owner, LabLink.Public, Token);
        }
        var began = TimeProvider.System.GetTimestamp();
        while (ears.Heard is var (four, six) && (four < Several || six < Several)) await Task.Delay(10, deadline);
        var took = TimeProvider.System.GetElapsedTime(began);
        output.WriteLine($"{fault}: {ears.Heard} announcements {took.TotalMilliseconds:F0} ms after the heal");
        Assert.InRange(took, TimeSpan.Zero, TimeSpan.FromSeconds(10));
        Assert.Equal(owner, await lab.OwnerAsync("four"));
        await lab.RestoreAsync();
    });

    /// <summary>Counts what a machine announces in the clients' network, of one address of each family.</summary>
    private sealed class Ears : IDisposable
    {
        private readonly ArpSocket arp;
        private readonly NeighbourSocket neighbours;
        private readonly byte[] hardware, four, six;
        private readonly CancellationTokenSource ending = new();
        private readonly Lock gate = new();
        private readonly Task work;
        private (int Four, int Six) heard;
        private long last = TimeProvider.System.GetTimestamp();

        public Ears(string space, string machine, IPAddress four, IPAddress six)
        {
            hardware = Convert.FromHexString(machine.Replace(":", "", StringComparison.Ordinal));
            (this.four, this.six) = (four.GetAddressBytes(), six.GetAddressBytes());
            (arp, neighbours) = NetworkSpace.In(space, () => (ArpSocket.TryOpen(out _)!, NeighbourSocket.TryOpen(out _)!));
            work = ListenAsync();
        }

        public (int Four, int Six) Heard
        {
            get { lock (gate) return heard; }
        }

        /// <summary>Since the last announcement, or since it listens.</summary>
        public TimeSpan Silence
        {
            get { lock (gate) return TimeProvider.System.GetElapsedTime(last); }
        }

        public void Forget()
        {
            lock (gate) heard = default;
        }

        public void Dispose()
        {
            ending.Cancel();
            work.Wait();
            arp.Dispose();
            neighbours.Dispose();
            ending.Dispose();
        }

        private async Task ListenAsync()
        {
            var buffer = new byte[1600];
            while (!ending.IsCancellationRequested)
            {
                for (int count; (count = arp.Receive(buffer, out _)) >= 0;)
                    // Sender and target are one address: an announcement, not an answer. Each is told in two forms; one of them counts.
                    if (ArpPacket.TryRead(buffer.AsSpan(0, count), out var from, out var sender) && buffer[21] == 1 && from.SequenceEqual(hardware) && sender.SequenceEqual(four)
                        && buffer.AsSpan(38, 4).SequenceEqual(four)) Count(isSix: false);
                for (int count; (count = neighbours.Receive(buffer, out _)) >= 0;)
                    // Without the flag of one that was asked for.
                    if (NeighbourPacket.TryReadAdvertisement(buffer.AsSpan(0, count), out var target, out var from) && (buffer[4] & 0x40) == 0 && from.SequenceEqual(hardware) && target.SequenceEqual(six))
                        Count(isSix: true);
                await Task.Delay(5);
            }
        }

        private void Count(bool isSix)
        {
            lock (gate)
            {
                heard = isSix ? (heard.Four, heard.Six + 1) : (heard.Four + 1, heard.Six);
                last = TimeProvider.System.GetTimestamp();
            }
        }
    }
}
