using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.PrivateConnection.Guard;

namespace Evenkeel.TestAgent;

/// <summary>Answers the guard as an agent must: opens the front door under a lease, closes it when asked, confirms.</summary>
internal sealed class TestDesk(TestAgentOptions options, GuardClient link) : IDisposable
{
    private static readonly ResourceId Vip = ResourceId.Vip("front");
    private static readonly ResourceId Service = ResourceId.Service("job");
    private Socket? _listener;
    private long _beats;

    public bool IsDone { get; private set; }

    public void Beat() => link.Send(new LoopBeat(++_beats));

    public void Take(object happened)
    {
        switch (happened)
        {
            case string line: Obey(line.Split(' ')); break;
            case InputEnded: IsDone = true; break;
            case LinkBroken broken: Close(); Say($"broken {broken.Reason}"); break;
            case GuardHello hello:
                link.Send(options.Configuration);
                link.Send(new CommittedFloors(new Dictionary<string, Epoch>(), 1));
                Say($"hello {hello.ProcessId} {hello.Session} held {string.Join(",", hello.Held.Select(held => $"{held.Resource}@{held.Epoch}"))} running {string.Join(",", hello.Instances.Select(one => $"{one.Instance}:{one.ProcessId}"))}");
                break;
            case LeaseChanged { Phase: LeasePhase.Held } held:
                if (held.Resource == Vip) Open();
                Say($"held {held.Resource} {held.Epoch}");
                break;
            case LeaseChanged { Phase: LeasePhase.Ended } ended: Say($"ended {ended.Resource} {ended.Epoch} {ended.Reason}"); break;
            case CloseListener close:
                Close();
                link.Send(new ListenerClosed(close.Resource, close.Epoch));
                break;
            case Launched launched: Say($"launched {launched.Instance} {launched.ProcessId} {launched.Error}"); break;
            case Exited exited: Say($"exited {exited.Instance} {exited.ProcessId} {exited.ExitCode}"); break;
            case GuardWarning warning: Say($"warning {warning.Text}"); break;
        }
    }

    private void Obey(string[] words)
    {
        var epoch = words.Length > 1 ? new Epoch(1, long.Parse(words[1], CultureInfo.InvariantCulture)) : Epoch.None;
        switch (words[0])
        {
            case "acquire": link.Send(new Acquire(Vip, epoch, [new ListenerEnforcement(options.FrontAddress, [options.FrontPort])])); break;
            case "release": link.Send(new Release(Vip, epoch)); break;
            case "acquire-job": link.Send(new Acquire(Service, epoch, [new CgroupEnforcement("job")])); break;
            case "launch-job":
                link.Send(new Launch(new LaunchRequest { Instance = "job", Lease = new(Service, epoch), Command = words[2..], LogFile = "/dev/null" }));
                break;
            case "shutdown": link.Send(new Shutdown()); break;
        }
    }

    // Two processes cannot both listen there: the kernel itself is the judge of 'never two owners'.
    private void Open()
    {
        _listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            _listener.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
            _listener.Bind(new IPEndPoint(IPAddress.Parse(options.FrontAddress), options.FrontPort));
            _listener.Listen();
            var listener = _listener;
            new Thread(() => Serve(listener)) { IsBackground = true }.Start();
        }
        catch (SocketException error) { Say($"conflict {error.SocketErrorCode}"); }
    }

    private void Serve(Socket listener)
    {
        try
        {
            while (true)
            {
                using var client = listener.Accept();
                client.Send(Encoding.ASCII.GetBytes(options.Configuration.Self.Value));
            }
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException) { }
    }

    public void Dispose() => Close();

    private void Close()
    {
        _listener?.Dispose();
        _listener = null;
    }

    private static void Say(string text)
    {
        Console.Out.WriteLine(text);
        Console.Out.Flush();
    }
}
