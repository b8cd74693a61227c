// Razorpay's page sends the payer back by itself; without scripts there is the button.
document.getElementById("back").submit();
