using System.Runtime.InteropServices;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>What this process does in another network namespace.</summary>
internal static partial class NetworkSpace
{
    private const int NetworkNamespace = 0x40000000; // CLONE_NEWNET, setns(2)

    /// <summary>Runs code on a thread inside a namespace: sockets that it opens belong there for good.</summary>
    /// <param name="name">As <c>ip netns</c> names it.</param>
    public static T In<T>(string name, Func<T> code)
    {
        T result = default!;
        Exception? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                using var entered = File.OpenHandle($"/run/netns/{name}");
                if (EnterNamespace((int)entered.DangerousGetHandle(), NetworkNamespace) != 0) throw new InvalidOperationException($"setns: errno {Marshal.GetLastPInvokeError()}");
                result = code();
            }
            catch (Exception exception)
            {
                failure = exception;
            }
        });
        thread.Start();
        thread.Join();
        return failure is null ? result : throw new InvalidOperationException($"in {name}: {failure.Message}", failure);
    }

    [LibraryImport("libc", EntryPoint = "setns", SetLastError = true)]
    private static partial int EnterNamespace(int descriptor, int kind);
}
