using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.Guard.Enforcement.Processes.Hosting;

/// <summary>
/// The guard binary's mode <c>tool NAME ARGUMENT…</c>: one of the cluster's command-line tools that stock agents call
/// (<c>crm_attribute</c> and its like). It asks the driver, whose socket is in the environment, and says what that answers.
/// </summary>
internal static class ToolCaller
{
    public const string SocketVariable = "EVENKEEL_HOST_SOCKET", InstanceVariable = "OCF_RESOURCE_INSTANCE";
    private const int PatienceMilliseconds = 5000, NotConnected = 107; // What the tools answer when their cluster is not there (ENOTCONN).

    public static int Run(string program, IReadOnlyList<string> arguments)
    {
        if (Environment.GetEnvironmentVariable(SocketVariable) is not { Length: > 0 } path)
        {
            Console.Error.WriteLine($"{program}: runs only inside an action of a resource agent");
            return NotConnected;
        }
        var until = Environment.TickCount64 + PatienceMilliseconds;
        HostSocket? socket;
        // An agent that is being restarted is back in a moment.
        while ((socket = HostSocket.Connect(path)) is null && Environment.TickCount64 < until) Thread.Sleep(50);
        using (socket)
        {
            var messages = new List<HostMessage>();
            if (socket is null || !socket.Send(new ToolCall(Environment.GetEnvironmentVariable(InstanceVariable) ?? "", program, arguments)))
            {
                Console.Error.WriteLine($"{program}: the agent of this node does not answer");
                return NotConnected;
            }
            while (messages.Count == 0)
                if (!socket.Receive(messages)) break;
            if (messages is not [ToolAnswer answer, ..])
            {
                Console.Error.WriteLine($"{program}: the agent of this node ended the connection");
                return NotConnected;
            }
            Console.Out.Write(answer.Output);
            Console.Error.Write(answer.Errors);
            return answer.ExitCode;
        }
    }
}
