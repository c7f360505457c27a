// Where would a machine wait least for an image? Asked of the agent's door over gRPC.
//
//	go run ask.go 127.0.0.1:7452 acme/web sha256:… syd,eu
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	placement "example.com/ask/placement/v1"
)

func main() {
	if len(os.Args) != 5 {
		log.Fatal("usage: ask DOOR REPOSITORY REFERENCE CANDIDATES")
	}
	channel, err := grpc.NewClient(os.Args[1],
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer channel.Close()
	deadline, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()

	answer, err := placement.NewPlacementServiceClient(channel).EstimateStarts(deadline,
		&placement.EstimateStartsRequest{
			Images: []*placement.ImageSelector{
				{Repository: os.Args[2], Reference: os.Args[3]},
			},
			Candidates: os.Args[4],
		})
	if err != nil {
		log.Fatal(err)
	}
	for _, estimate := range answer.Estimates {
		wait := estimate.GetExpectedWait().GetP50().AsDuration()
		fmt.Printf("%s %.3f\n", estimate.Region, wait.Seconds())
	}
}
